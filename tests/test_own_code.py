"""Files of one's own: kept by their hash, refused once changed, run on a user's word only."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

import pytest

from conceptspace.cli import main
from conceptspace.collection.write import member
from conceptspace.config import RunConfig, merged
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.own_code import imported
from conceptspace.files import write_record
from conceptspace.presentation.explorer.library import Library
from conceptspace.protocols import registry
from conceptspace.run_folder import step_name
from conceptspace.store import Run
from conceptspace.training import checkpoint
from stripes import NETWORK, PROTOCOL, WORLD
from test_own_kinds import here as here_with_files
from tiny import TINY, tiny_session

OWN = {"data": {"kind": "stripes.py:Stripes"}, "model": {"kind": "mlp.py:Mlp", "width": 8}}
SHORT = {"train": {"steps": 1, "checkpoint_steps": [1]}}
here = here_with_files


def own_config() -> RunConfig:
    return merged(merged(TINY, OWN, "test"), SHORT, "test")


pytestmark = pytest.mark.usefixtures("own_protocols")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step with a world and a network of one's own."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("stripes.py").write_text(WORLD)
        Path("mlp.py").write_text(NETWORK)
        list(tiny_session(folder / "run", own_config(), folder / "probes").execute())
    return folder / "run"


@pytest.fixture
def run(made: Path, here: Path) -> Run:
    """A copy of it, beside the files."""
    return Run(shutil.copytree(made, here / "run"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_of_world_network_and_protocol_are_kept_by_their_hash(run, here, capsys):
    (here / "mine.py").write_text(PROTOCOL)
    assert main(["evaluate", "run", "--protocol", "mine.py:Louder", "--trust"]) == 0
    assert run.information()["code"] == {
        "data": {"file": "stripes.py", "sha256": sha256(here / "stripes.py")},
        "model": {"file": "mlp.py", "sha256": sha256(here / "mlp.py")},
        "protocols.louder": {"file": "mine.py", "sha256": sha256(here / "mine.py")},
    }


@pytest.mark.parametrize(
    ("name", "text", "words", "remedy"),
    [
        ("stripes.py", WORLD, "run --out run --trust", "start a run with the new one"),
        ("mlp.py", NETWORK, "evaluate run --protocol naive --trust", "start a run with the new"),
        (
            "mlp.py",
            NETWORK,
            "run --out run --data.kind stripes.py:Stripes --model.kind mlp.py:Mlp",
            "put it back as it was",
        ),
        ("mlp.py", NETWORK, "run --out run --trust --dry-run", "put it back as it was"),
        ("mlp.py", NETWORK, "evaluate run --trust --dry-run", "put it back as it was"),
    ],
)
def test_a_file_that_has_changed_is_refused(run, here, capsys, name, text, words, remedy):
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    (here / name).write_text(text + "\n# another comment\n")
    capsys.readouterr()
    assert main(words.split()) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert f"{name} has changed since the run was begun with it" in message
    assert remedy in message
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before
    (here / name).write_text(text)
    assert main(["evaluate", "run", "--protocol", "naive", "--trust"]) == 0


def test_a_module_beside_a_file_that_has_changed_is_refused(run, here, capsys, monkeypatch):
    monkeypatch.syspath_prepend(here)
    (here / "louder_by.py").write_text("TIMES = 1\n")
    (here / "mine.py").write_text("import louder_by\n" + PROTOCOL)
    words = ["evaluate", "run", "--protocol", "mine.py:Louder", "--trust"]
    assert main(words) == 0
    kept = run.information()["code"]["protocols.louder.louder_by"]
    assert kept == {"file": "louder_by.py", "sha256": sha256(here / "louder_by.py")}
    (here / "louder_by.py").write_text("TIMES = 2\n")
    capsys.readouterr()
    assert main(words) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "louder_by.py has changed since it was asked with it" in message
    assert "give the new protocol another name" in message


def test_modules_beside_a_file_are_found_as_they_are_imported(tmp_path):
    package = tmp_path / "bundle"
    package.mkdir()
    names = ("plain", "relative", "whole", "deep", "late", "unused")
    for name in names:
        (package / f"{name}.py").write_text("import deep, torch\n" if name == "plain" else "")
    start = package / "start.py"
    start.write_text(
        "import json, plain\n"
        "from . import relative\n"
        "from bundle.whole import anything\n"
        "from .. import unused\n"
        "def later():\n    from .late import it\n"
    )
    found = [path.stem for path in imported(start)]
    assert found == ["deep", "late", "plain", "relative", "whole"]


def test_a_protocol_that_has_changed_is_refused(run, here, capsys, monkeypatch):
    (here / "mine.py").write_text(PROTOCOL)
    words = ["evaluate", "run", "--protocol", "mine.py:Louder", "--trust"]
    assert main(words) == 0
    monkeypatch.delitem(registry._registered, "louder")  # as in a new process
    (here / "mine.py").write_text(PROTOCOL.replace("k * h", "2 * k * h"))
    assert main(words) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "mine.py has changed since it was asked with it" in message
    assert "give the new protocol another name" in message


ENCODED = """
import torch

import conceptspace as cs


class Encoded(cs.DataConfig):
    \"\"\"Noise, asked for by numbers that show no concept's value.\"\"\"

    pooled = True

    def world(self):
        images = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        factors = {name: [n // k % 2 for n in range(64)] for name, k in (("hue", 1), ("way", 2))}
        return cs.ArrayWorld(
            images, factors, held_out=[(1, 1)], encode=lambda names: torch.tensor([1.0, 2.0, 3.0])
        )

    def judge(self, world):
        return cs.ZeroShot(
            lambda images: images.mean((2, 3)) + 0.1,
            lambda texts: torch.tensor([[1.0, float(len(text)), 1.0] for text in texts]),
            {"hue": ["0", "one"], "way": ["0", "one"]},
            invalid=["none"],
        )
"""


def test_what_a_world_decides_by_is_kept_and_only_what_fits_it_is_asked(here):
    """Its own judge stands in run.json; its prompts show no concept that could be exaggerated."""
    (here / "encoded.py").write_text(ENCODED)
    own = {"data": {"kind": "encoded.py:Encoded", "images_per_class": 16}}
    config = merged(merged(TINY, own, "test"), SHORT, "test")
    list(tiny_session(here / "run", config, here / "probes").execute())
    information = Run(here / "run").information()
    assert information["judge"].startswith("zero-shot ")
    assert (information["invalid"], information["texts"]["hue"]) == (["none"], [["0"], ["one"]])
    assert main(["evaluate", "run", "--trust", "--device", "cpu"]) == 0
    usual = registry.names(parts.context(config), usual=True)
    assert usual == ["naive", "patching"]
    assert set(Run(here / "run").trajectory()["protocol"]) <= set(usual)


def test_a_network_without_embeddings_is_evaluated_before_its_last_checkpoint(run, here, capsys):
    """Nothing is patched, so nothing is left out."""
    checkpoint.save(run.checkpoints, 0, {})
    (run.checkpoints / f"{step_name(1)}.json").unlink()
    assert main(["evaluate", "run", "--trust", "--dry-run"]) == 0


NEVER = """
from conceptspace.protocols.registry import family


@family("never", names=lambda run: [])
def never(name, run):
    raise AssertionError
"""


@pytest.mark.parametrize(
    "words",
    [
        "evaluate run --trust --protocol never.py:never",
        "run quick --out new --dry-run --evaluate.protocols never.py:never",
    ],
)
def test_a_file_that_makes_no_protocol_for_a_run_is_refused(run, here, capsys, words):
    (here / "never.py").write_text(NEVER)
    capsys.readouterr()
    assert main(words.split()) == 2
    assert "never.py:never makes no protocol for this run" in capsys.readouterr().err
    assert not (here / "new").exists()


STRANGE = """
from pathlib import Path

Path("it-ran").touch()
from stripes_of_strangers import *
"""

READING = [
    "info run",
    "info run other",
    "report run -o page.html",
    "run --out run",
    "run --out run --help",
    "run quick --out run",
    "run --out run --data.period 3",
    "quickstart --out run",
    "evaluate run",
    "evaluate run --protocol naive",
    "sweep sweep.toml --out .",
]


@pytest.fixture
def strangers(run: Run, here: Path) -> Path:
    """The folder that somebody sent, with files that leave a trace if they are run."""
    (here / "stripes.py").rename(here / "stripes_of_strangers.py")
    (here / "stripes.py").write_text(STRANGE)
    (here / "mlp.py").write_text(STRANGE)
    shutil.copytree(run.path, here / "other")
    shutil.copytree(run.path, here / "runs" / "seed-0")
    (here / "sweep.toml").write_text('base = "quick"\n\n[axes]\nseed = [0]\n')
    return run.path


@pytest.mark.parametrize("words", READING)
def test_the_code_that_a_strangers_run_names_is_not_run(strangers, here, words, capsys):
    with contextlib.suppress(SystemExit):  # --help
        main(words.split())
    assert not (here / "it-ran").exists()
    error = capsys.readouterr().err
    if words in ("run --out run", "evaluate run"):
        assert (
            "run would run code that its config names, stripes.py:Stripes and mlp.py:Mlp" in error
        )
        assert "add --trust if you know that code" in error
        assert error.count("\n") == 1


def test_the_page_runs_none_of_it_either(strangers, here):
    library = Library([here])
    library.warm()
    assert not library.index()["runs"][0]["problems"]
    assert not (here / "it-ran").exists()


def test_a_collection_of_runs_runs_none_of_it(strangers, here):
    """Not even where the run does not name its concepts."""
    assert member("kept", Run(strangers)).seed == 0
    (strangers / "space.json").unlink()
    with pytest.raises(UserError, match=r"'stripes.py:Stripes' is not loaded"):
        member("lost", Run(strangers))
    assert not (here / "it-ran").exists()


def test_who_trusts_it_runs_it_and_learns_that_it_has_changed(strangers, here, capsys):
    assert main(["evaluate", "run", "--protocol", "naive", "--trust"]) == 2
    assert (here / "it-ran").exists()
    assert "cannot be imported from" in capsys.readouterr().err


def test_naming_one_file_does_not_run_the_other(strangers, here, capsys):
    (here / "stripes.py").write_text(WORLD)
    words = "run --out run --data.kind stripes.py:Stripes"
    assert main(words.split()) == 2
    assert "config names, mlp.py:Mlp;" in capsys.readouterr().err
    assert not (here / "it-ran").exists()


def test_a_record_of_other_types_is_damaged(run, here, capsys):
    information = run.information() | {"code": {"data": "stripes.py"}}
    write_record(run.path / "run.json", information)
    capsys.readouterr()
    assert main(["evaluate", "run", "--protocol", "naive", "--trust"]) == 2
    assert "run.json is damaged (code is {'data': 'stripes.py'})" in capsys.readouterr().err
