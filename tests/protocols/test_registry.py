"""Protocols that this package does not know: in a file, and in an installed package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from conceptspace.analysis.elicitation import is_control
from conceptspace.cli import main
from conceptspace.config import RunConfig, load, merged, read_complete
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.needs import needs, protocols_asked
from conceptspace.presets import quick
from conceptspace.protocols import registry
from conceptspace.settings.description import Section
from conceptspace.store import Run
from conceptspace.sweeps.cost import passes
from tiny import tiny_config
from undrawn import leave_undrawn

LOUDER = '''
from typing import ClassVar
from conceptspace.settings.description import Section


class Louder(Section):
    """h' = factor * h, for every class."""

    name: ClassVar[str] = "louder"
    factors: tuple[float, ...] = (1.5, 2.0)
    """By how much."""

    def settings(self, concept_class):
        return {f"{k:g}": lambda model, h, k=k: (model, k * h) for k in self.factors}
'''

PACKAGED = '''
from dataclasses import dataclass
from conceptspace.protocols.registry import family


@dataclass(frozen=True)
class Mirrored:
    """h' = -h, or h itself as the control."""

    name: str

    def settings(self, concept_class):
        sign = 1 if "control" in self.name else -1
        return {"": lambda model, h: (model, sign * h)}


@family("mirrored", names=lambda run: ["mirrored", "mirrored-control"])
def mirrored(name, run):
    return Mirrored(name)
'''


pytestmark = pytest.mark.usefixtures("own_protocols", "unrendered")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed a package that brings a protocol."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    (source / "mirrors.py").write_text(PACKAGED)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "mirrors"\nversion = "1"\n[tool.setuptools]\npy-modules = ["mirrors"]\n'
        '[project.entry-points."conceptspace.protocols"]\nmirrored = "mirrors:mirrored"\n'
        'broken = "mirrors:nothing"\nother = "mirrors:mirrored"\n'
    )
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target)]
    subprocess.run([*command, str(source)], check=True)
    return target


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.delitem(sys.modules, "mirrors", raising=False)


def write(folder: Path, **changes: object) -> str:
    config = tiny_config(evaluate__elicitation_samples=2, **changes)
    (folder / "tiny.toml").write_text(config.to_toml())
    return str(folder / "tiny.toml")


@pytest.fixture(scope="module")
def run_with_a_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that the command line asks with a protocol in a file."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mine.py").write_text(LOUDER)
    registry.families()
    before = dict(registry._registered)
    arguments = ["run", "--config", write(folder), "--out", str(folder / "r")]
    asked = ["--evaluate.protocols", f"naive,{folder / 'mine.py'}:Louder"]
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        assert main([*arguments, *asked, "--protocols.louder.factors", "2,3"]) == 0
    registry._registered.clear()
    registry._registered.update(before)
    return folder / "r"


def test_a_file_named_on_the_command_line_adds_a_protocol(run_with_a_file: Path) -> None:
    run = Run(run_with_a_file)
    table = run.trajectory()
    assert set(table[table.protocol == "louder"].setting) == {"2", "3"}
    assert set(run.sheets("louder")) == {0, 4, 9}
    assert run.config.evaluate.protocols == ("naive", "louder")
    assert run.config.protocols == {"louder": {"factors": (2.0, 3.0)}}
    assert run.config.settings()["protocols.louder.factors"] == (2.0, 3.0)
    page = (run_with_a_file / "report.html").read_text()
    assert "louder" in page


def test_a_run_is_read_and_reported_without_the_file(
    run_with_a_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its config holds a name, and nothing that would be executed."""
    assert main(["info", str(run_with_a_file)]) == 0
    assert main(["report", str(run_with_a_file), "-o", str(tmp_path / "page.html")]) == 0
    assert "louder" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main(["run", "--out", str(run_with_a_file)]) == 2
    assert "FILE.py:NAME or module:NAME on the command line" in capsys.readouterr().err


def test_the_run_goes_on_with_the_file(
    run_with_a_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = f"{run_with_a_file.parent / 'mine.py'}:Louder"
    again = ["run", "--out", str(run_with_a_file), "--evaluate.protocols"]
    assert main([*again, f"naive,{mine}"]) == 0
    assert main([*again, f"naive,{mine}", "--protocols.louder.factors", "2"]) == 2
    assert "protocols.louder.factors is (2.0, 3.0) there, (2.0,) here" in capsys.readouterr().err


def test_evaluate_adds_settings_of_a_protocol_in_a_file(run_with_a_file: Path) -> None:
    mine = f"{run_with_a_file.parent / 'mine.py'}:Louder"
    evaluate = ["evaluate", str(run_with_a_file), "--protocol", mine]
    assert main([*evaluate, "--protocols.louder.factors=4"]) == 0
    table = Run(run_with_a_file).trajectory()
    assert set(table[table.protocol == "louder"].setting) == {"2", "3", "4"}


@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_protocols_by_name(tmp_path: Path) -> None:
    run = tmp_path / "r"
    config = write(tmp_path, evaluate__protocols=["mirrored"])
    assert main(["run", "--config", config, "--out", str(run)]) == 0
    assert main(["evaluate", str(run), "--protocol", "mirrored-control"]) == 0
    table = Run(run).trajectory().set_index(["protocol", "step", "concept_class", "concept"])
    assert {"naive", "mirrored", "mirrored-control"} == set(table.index.unique("protocol"))
    assert is_control("mirrored-control")
    columns = ["accuracy", "coordinate", "samples"]
    naive, control = (table.loc[name, columns] for name in ("naive", "mirrored-control"))
    assert naive.equals(control)
    assert "mirrored" in (run / "report.html").read_text()


@pytest.mark.usefixtures("installed")
def test_cost_and_disk_count_protocols_of_packages() -> None:
    plain, more = tiny_config(), tiny_config(evaluate__protocols=["mirrored"])
    assert [protocol.name for protocol in protocols_asked(more)] == ["naive", "mirrored"]
    evaluate, classes = more.evaluate, 4
    images = classes * evaluate.elicitation_samples * 3
    assert passes(more) - passes(plain) == images * evaluate.sampling_steps
    assert needs(more).disk > needs(plain).disk


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "the protocol 'broken': mirrors has no 'nothing'"),
        ("other", "the entry point 'other' in conceptspace.protocols is the protocol 'mirrored'"),
        ("hypnosis", "there is no protocol 'hypnosis' for this run; there are naive"),
    ],
)
def test_what_a_package_does_not_bring_is_reported(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parts.validate(tiny_config(evaluate__protocols=[name]))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("raise ValueError('no GPU')", "A", "cannot be imported from .*: no GPU"),
        ("class A: pass", "A", "A is no protocol: it needs a name"),
        ("class A: pass", "B", "has no 'B'"),
        ("A = 3", "A", "is no protocol; name a class"),
        (LOUDER.replace('"louder"', '"naive"'), "Louder", "there are two protocols naive"),
        (LOUDER.replace('"louder"', '"a/b"'), "Louder", "a protocol cannot be called 'a/b'"),
    ],
)
def test_a_file_without_a_protocol_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, name: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(content)
    out = tmp_path / "r"
    asked = ["--evaluate.protocols", f"{tmp_path / 'mine.py'}:{name}"]
    assert main(["run", "--config", write(tmp_path), "--out", str(out), *asked]) == 2
    err = capsys.readouterr().err
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--protocols.steering.module"], "--protocols.steering.module takes a value"),
        (["--protocols.steering.strong", "2"], "there are --protocols.steering.module, "),
        (["--protocols.hypnosis.depth", "2"], "there is no setting --protocols.hypnosis.depth"),
        (["--protocols.steering.prompts", "x"], "takes a whole number"),
        (["--protocols.steering.prompts", "0"], "[protocols.steering] prompts = 0"),
    ],
)
def test_settings_of_protocols_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    out = tmp_path / "r"
    assert main(["run", "--config", write(tmp_path), "--out", str(out), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_sections_of_a_config_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        '[evaluate]\nprotocols = ["steering-color"]\n[protocols.steering]\nstrengths = [2.0]\n'
    )
    config = registry.completed(load(path, quick()))
    assert config.protocols["steering"]["strengths"] == (2.0,)
    assert config.protocols["steering"]["module"] == "network.trunk.down.0.0"
    (tmp_path / "config.toml").write_text(config.text())
    assert read_complete(tmp_path / "config.toml") == config
    for section, message in (
        ("steering", "there is no setting loud"),
        ("hypnosis", "no such proto"),
    ):
        bad = merged(quick(), {"protocols": {section: {"loud": 3}}}, "test")
        with pytest.raises(UserError, match=message):
            registry.completed(bad)


def test_configs_without_such_settings_are_what_they_were() -> None:
    assert "protocols" not in RunConfig().model_dump()
    assert "[protocols" not in RunConfig().to_toml()
    assert RunConfig().digest() == (
        "da1672ccf6b78f36d2c985be6cdc34ec04911a381e212c9195b2602629012d8c"
    )
    assert registry.completed(quick()) == quick()


def test_two_protocols_of_one_name_are_refused() -> None:
    @registry.protocol
    class Mine(Section):
        name: ClassVar[str] = "mine"

        def settings(self, concept_class):
            return {}

    with pytest.raises(UserError, match="there are two protocols mine"):
        registry.family("mine")(lambda name, run: Mine())


def test_a_family_makes_what_it_is_asked_for() -> None:
    class Named:
        name = "odd"

        def settings(self, concept_class: str) -> dict[str, object]:
            return {}

    registry.family("even")(lambda name, run: Named())
    registry.family("list")(lambda name, run: [])
    run = parts.context(tiny_config())
    with pytest.raises(UserError, match="asked for the protocol 'even', and made one called 'odd'"):
        registry.make("even", run)
    with pytest.raises(UserError, match="asked for the protocol 'list', and made list"):
        registry.make("list", run)
    with pytest.raises(UserError, match=r"\[protocols.even\] gives settings, and .* has none"):
        registry.completed(merged(tiny_config(), {"protocols": {"even": {"by": 2}}}, "test"))


def test_settings_without_a_value_are_not_stored(tmp_path: Path) -> None:
    """TOML has no word for none."""

    @registry.protocol
    class Mine(Section):
        name: ClassVar[str] = "mine"
        at: str | None = None
        by: int = 2

        def settings(self, concept_class: str) -> dict[str, object]:
            return {}

    config = registry.completed(tiny_config(evaluate__protocols=["mine"]))
    (tmp_path / "config.toml").write_text(config.text())
    assert read_complete(tmp_path / "config.toml").protocols == {"mine": {"by": 2}}
    assert registry.make("mine", parts.context(config)) == Mine()
