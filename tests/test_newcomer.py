"""What a newcomer adds, and the number of files that it takes: the table of docs/api.md."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conceptspace import paper
from conceptspace.analysis import findings
from conceptspace.cli import main
from conceptspace.paper.framework import registry as figures
from conceptspace.store import Run
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS
from stripes import NETWORK, PROTOCOL, WORLD
from tiny import TINY

DOCS = Path(__file__).parent.parent / "docs"

FIGURE = """
from matplotlib.figure import Figure

from conceptspace.analysis.claims import above, measure
from conceptspace.paper.framework.figure import PaperFigure


def draw(data, rows):
    figure = Figure()
    figure.add_subplot().plot(data)
    return {"fig99": figure}


FIGURE = PaperFigure(
    name="fig99",
    number="99",
    title="Some numbers",
    claim="Some numbers are large.",
    cost={"quick": "nothing", "paper": "nothing"},
    plans=lambda preset, seeds=None: [],
    analyse=lambda preset, results: [2.0, 2.1, 2.2, 2.1, 2.0],
    draw=draw,
    checks=lambda data: [above("fig99-large", "They are.", measure(data), 0.5, "")],
    primary="fig99-large",
    endpoint="how large they are: above 0.5",
)
"""

FINDING = """
def _brief(of: Evidence) -> list[Finding]:
    return [Finding("order", f"{of.ood} was asked for at {of.table['step'].nunique()} checkpoints")]


"""


pytestmark = pytest.mark.usefixtures("own_protocols")


def test_a_world_a_network_and_a_protocol_are_a_file_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line to the page; then asked once more, with other settings."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"stripes": WORLD, "mlp": NETWORK, "mine": PROTOCOL}.items():
        Path(f"{name}.py").write_text(text)
    Path("tiny.toml").write_text(TINY.to_toml())
    own = "--data.kind stripes.py:Stripes --model.kind mlp.py:Mlp --model.width 8"
    asked = "--evaluate.protocols mine.py:Louder --evaluate.elicitation-samples 2"
    short = "--train.steps 1 --train.checkpoint-steps 1 --device cpu --out run"
    assert main(f"run --config tiny.toml {own} {asked} {short}".split()) == 0
    again = "evaluate run --trust --protocol mine.py:Louder --protocols.louder.factors 3"
    assert main(again.split()) == 0
    table = Run(tmp_path / "run").trajectory()
    assert set(table["concept"]) == {"hue", "way", "joint"}
    assert set(table[table["protocol"] == "louder"]["setting"]) == {"1.5", "2", "3"}
    page = Path("run/report.html").read_text()
    assert "blue down" in page
    assert "louder" in page


def test_a_figure_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "paper" / "fig99"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "figure.py").write_text(FIGURE)
    monkeypatch.setattr(paper, "__path__", [*paper.__path__, str(folder.parent)])
    monkeypatch.setattr(figures, "FIGURES", figures.found())
    try:
        assert main(["reproduce", "fig99", "--out", str(tmp_path / "out")]) == 0
    finally:
        for name in [name for name in sys.modules if name.startswith("conceptspace.paper.fig99")]:
            del sys.modules[name]
    assert "fig99-large: held" in capsys.readouterr().out
    assert (tmp_path / "out" / "fig99" / "fig99.png").exists()


CLASSES = ("00", "01", "10", "11")


def made_up() -> pd.DataFrame:
    """Four checkpoints of a model that knows all classes from the third on."""
    rows = [
        ("made up", 0, step, "naive", "", name, concept, share, np.nan, 8)
        for step, share in ((100, 0.1), (200, 0.1), (300, 0.9), (400, 0.9))
        for name in CLASSES
        for concept in ("hue", "way", JOINT)
    ]
    table = pd.DataFrame(rows, columns=TRAJECTORY_COLUMNS)
    bits = (
        table["concept_class"]
        .str[0]
        .where(table["concept"] == "hue", table["concept_class"].str[1])
    )
    said = table["accuracy"].where(bits == "1", 1 - table["accuracy"])
    return table.assign(coordinate=said.where(table["concept"] != JOINT))


def test_a_finding_is_a_function_and_a_line(tmp_path: Path) -> None:
    """In a copy of the module."""
    source = Path(findings.__file__).read_text()
    listed = "OF_A_CLASS: tuple[Callable[[Evidence], list[Finding]], ...] = (\n"
    assert source.count(listed) == 1
    changed = source.replace(listed, f"{FINDING}{listed}    _brief,\n")
    (tmp_path / "findings_of_a_newcomer.py").write_text(changed)
    spec = spec_from_file_location("findings_of_a_newcomer", tmp_path / "findings_of_a_newcomer.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        asked = (made_up(), None, ["00", "01", "10"], ["11"], {c: c for c in CLASSES})
        texts = [finding.text for finding in module.findings(*asked)]
        before = [finding.text for finding in findings.findings(*asked)]
    finally:
        del sys.modules[spec.name]
    assert [text for text in texts if text not in before] == ["11 was asked for at 4 checkpoints."]
    assert set(before) < set(texts)


def test_every_public_name_has_a_home() -> None:
    import conceptspace as cs

    assert set(cs._HOMES) == set(cs.__all__)


def test_names_that_docs_take_from_the_package_are_there() -> None:
    import conceptspace as cs

    for page in DOCS.glob("*.md"):
        if page.name != "log.md":
            missing = set(re.findall(r"\bcs\.(\w+)", page.read_text())) - set(cs.__all__)
            assert not missing, f"{page.name} takes {missing} from the package"
