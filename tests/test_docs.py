"""The documentation is true: its Python runs, its commands parse, its links and table are right.

``python tests/test_docs.py --write`` refreshes the table of settings in docs/commands.md.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from conceptspace.cli.flags import overrides
from conceptspace.cli.parser import parsed
from conceptspace.config import RunConfig, field_names, merged, nested
from conceptspace.presets import PRESETS

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if path.name != "log.md"]
COMMANDS = DOCS / "commands.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def settings_table() -> str:
    """Every config field with its value in each preset and its meaning, as Markdown."""
    presets = {name: build() for name, build in PRESETS.items()}
    lines, section = [], None
    for name, info in field_names().items():
        if name == "preset":
            continue
        group = name.split(".")[0] if "." in name else "run"
        if group != section:
            section = group
            lines += [f"\n### {group}\n"] if group != "run" else [""]
            lines += [f"| setting | {' | '.join(presets)} | meaning |"]
            lines += [f"|---|{'---|' * len(presets)}---|"]
        values = " | ".join(_shown(_value(config, name, info)) for config in presets.values())
        meaning = (info.description or "").replace("|", r"\|").replace("\n", " ")
        lines.append(f"| `{name}` | {values} | {meaning} |")
    return "\n".join(lines) + "\n\n"


def _value(config: RunConfig, name: str, info: FieldInfo) -> Any:
    """A setting's value; of another kind than the preset's, its default."""
    return config.settings().get(name, info.default)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        value = ",".join(_shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value) or "–"


def python_blocks(page: Path) -> str:
    """The page's Python, every line where it stands on the page."""
    text, code, end = page.read_text(), "", 0
    for block in FENCE.finditer(text):
        if block[1] == "python":
            code += "\n" * text.count("\n", end, block.start(2)) + block[2]
            end = block.end(2)
    return code


def commands(page: Path) -> Iterator[str]:
    """Every ``conceptspace`` command in a block of shell or in backticks."""
    text = page.read_text()
    for block in FENCE.finditer(text):
        if block[1] in ("sh", "shell", "bash", "console"):
            for line in block[2].replace("\\\n", " ").splitlines():
                if line.startswith("conceptspace "):
                    yield line
    yield from re.findall(r"`(conceptspace [^`\n]+)`", FENCE.sub("", text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    kept = (re.sub(r"[^\w\- ]", "", h.lower()) for h in HEADING.findall(page.read_text()))
    return {heading.replace(" ", "-") for heading in kept}


EXTRAS = {"diffusers": ["diffusers", "mlxtend"], "recorder": ["lightning", "accelerate"]}
"""What pages need beside the package."""


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The `srun` command is available")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("page", [p for p in PAGES if python_blocks(p)], ids=lambda p: p.stem)
def test_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in EXTRAS.get(page.stem, []):
        pytest.importorskip(package, reason=f"the package {package} is missing")
    monkeypatch.chdir(tmp_path)
    code = compile(python_blocks(page), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": f"docs_{page.stem}"})


COMMAND_LINES = [(p.stem, line) for p in PAGES for line in commands(p)]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_commands_parse(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words == ["--version"] or "--help" in words:
        return
    options = parsed(words)
    assert options.command == words[0]
    base = PRESETS[getattr(options, "preset", None) or "quick"]()
    merged(base, nested(overrides(options)), page)


def test_there_are_commands_and_pages() -> None:
    assert len(COMMAND_LINES) > 15
    assert {p.name for p in PAGES} >= {"README.md", "concepts.md", "api.md", "commands.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_relative_links_resolve(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}, no such heading"


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    missing = [p.name for p in PAGES if p.name != "README.md" and f"({p.name})" not in index]
    assert not missing


def test_modules_that_the_docs_name_exist() -> None:
    """Below the package, or seen from the root of the repository."""
    roots = (DOCS.parent / "src" / "conceptspace", DOCS.parent)
    for page in PAGES:
        for name in re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text()):
            assert any((root / name).exists() for root in roots), f"{page.name} names {name}"


def test_the_table_of_settings_is_up_to_date() -> None:
    found = TABLE.search(COMMANDS.read_text())
    assert found is not None
    assert found[0] == settings_table(), "refresh it: python tests/test_docs.py --write"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_docs.py --write")
    table = settings_table()
    COMMANDS.write_text(TABLE.sub(lambda _: table, COMMANDS.read_text()))
