"""The documentation is true: its Python runs, its commands parse, its links are right."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import conceptspace
from conceptspace.cli.flags import overrides
from conceptspace.cli.parser import parsed, parser
from conceptspace.config import field_names, merged, nested
from conceptspace.paper.framework.registry import FIGURES
from conceptspace.presets import PRESETS, STARTS
from conceptspace.protocols import registry

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if path.name != "log.md"]
EXAMPLES = sorted(DOCS.glob("examples/*.py"))
generate = SimpleNamespace(**runpy.run_path(str(DOCS / "generate.py")))
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
GENERATED = ("commands", "settings", "folder", "paper", "reference")


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


EXTRAS = {
    "diffusers_unet": ["diffusers"],
    "diffusers_digits": ["diffusers", "mlxtend"],
    "recorder": ["lightning", "accelerate"],
}
"""What examples need beside the package."""

LONG = ("sprites", "diffusers_digits", "recorder", "two_skills")
"""Examples that take 10 to 25 seconds each."""


@pytest.mark.parametrize("page", [p for p in PAGES if python_blocks(p)], ids=lambda p: p.stem)
def test_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile(python_blocks(page), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": f"docs_{page.stem}"})


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The `srun` command is available")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize(
    "example",
    [pytest.param(p, marks=[pytest.mark.slow] if p.stem in LONG else []) for p in EXAMPLES],
    ids=lambda p: p.stem,
)
def test_an_example_runs(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in EXTRAS.get(example.stem, []):
        pytest.importorskip(package, reason=f"the package {package} is missing")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")


def test_pages_show_every_example() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [path.name for path in EXAMPLES if f"examples/{path.name}" not in text] == []


COMMAND_LINES = [(p.stem, line) for p in PAGES for line in commands(p)]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_commands_parse(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words == ["--version"] or "--help" in words:
        return
    options = parsed(words)
    assert options.command == words[0]
    base = STARTS[getattr(options, "preset", None) or "quick"]()
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
        if name.startswith("generated/"):
            assert Path(name).stem in GENERATED, target
            continue
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


def test_pages_that_are_generated_tell_what_the_code_has(tmp_path: Path) -> None:
    """Every command, flag, setting, figure, planned run, file and public name."""
    generate.write(tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(GENERATED)
    flags = (tmp_path / "commands.md").read_text()
    for name, command in parser().commands.items():
        section = flags.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for flag in set(command._option_string_actions) - {"-h", "--help"}:
            assert re.search(rf"^\| `(-\w, )?{flag}[ `,]", section, re.MULTILINE), (name, flag)
    assert "| `FILE.toml\\|status\\|collect\\|fetch` | the sweep;" in flags
    settings = (tmp_path / "settings.md").read_text()
    for name in field_names():
        assert name == "preset" or f"| `{name}` | " in settings
    assert "| `train.steps` | 4200 | 20000 | Gradient steps (1 to 1000000000). |" in settings
    for family in registry.families():
        for name in family.settings.model_fields if family.settings else ():
            assert f"| `protocols.{family.name}.{name}` | " in settings
    assert "| `protocols.ensemble.draws` | 4,16 | 4,16 | Numbers of prompts" in settings
    paper = (tmp_path / "paper.md").read_text()
    for name, figure in FIGURES.items():
        quick, full = figure.cost["quick"], figure.cost["paper"]
        cells = (f"`{name}`", figure.number, figure.claim, figure.endpoint, quick, full)
        assert f"| {' | '.join(cells)} |" in paper
    for preset in PRESETS:
        runs = paper.partition(f"## Runs of `{preset}`")[2]
        for figure in FIGURES.values():
            for plan in figure.plans(preset, None):
                assert f"| `{plan.name.partition('/')[0]}` |" in runs
    assert "| `color-0.6` | `fig03` | 240 to 247, 396 to 403 | `data.color_sep" in paper
    assert "| `masked-50` | `fig08`, `fig09b` | 276 to 287 |" in paper
    assert "| `masked-50` | `fig09a`, `fig10` | 276 to 287, 376 to 395 |" in paper
    folder = (tmp_path / "folder.md").read_text()
    for name in ("config.toml", "run.json", "trajectory.parquet", "report.html"):
        assert f"\n  {name} " in folder
    names = re.findall(r"^   (\w+)$", (tmp_path / "reference.md").read_text(), re.MULTILINE)
    assert sorted(names) == sorted(conceptspace.__all__)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is missing: pip install --group docs")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "--keep-going", DOCS, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "generated" / "api" / "conceptspace.Recorder.html").exists()
