"""Worlds and networks of one's own: one new file each, named on the command line or in TOML."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
import torch

from conceptspace.cli import main
from conceptspace.config import merged
from conceptspace.errors import UserError
from conceptspace.events import Stopped
from conceptspace.experiment.session import Session
from conceptspace.presentation.explorer.library import Library
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from conceptspace.worlds.config import WORLDS
from stripes import NETWORK, WORLD
from tiny import CPU, TINY, tiny_session

ASK = {"evaluate": {"protocols": ["overprompting-hue", "latent-intervention"]}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the two files and a tiny config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stripes.py").write_text(WORLD)
    (tmp_path / "mlp.py").write_text(NETWORK)
    (tmp_path / "tiny.toml").write_text(TINY.to_toml())
    return tmp_path


def test_a_world_in_one_file_is_stopped_resumed_asked_and_shown_without_it(here: Path, capsys):
    named = {"data": {"kind": "stripes.py:Stripes", "period": 2}}
    config = merged(merged(TINY, named, "test"), ASK, "test")
    session = tiny_session(here / "run", config, here / "probes")
    asked = iter(range(20))
    with pytest.raises(Stopped):
        list(session.execute(lambda: next(asked) > 8))  # two for the probe, then each step
    assert 9 not in checkpoint.saved_steps(session.run.checkpoints)
    list(tiny_session(here / "run", config, here / "probes").execute())
    run = Run(here / "run")
    assert run.config.data.settings()["period"] == 2
    table = run.trajectory()
    assert set(table["protocol"]) == {"naive", *ASK["evaluate"]["protocols"]}
    assert set(table["step"]) == {0, 4, 9}
    before = run.config.digest()

    (here / "stripes.py").unlink()
    capsys.readouterr()
    assert main(["report", "run"]) == 0
    assert "blue down" in (here / "run" / "report.html").read_text()
    again = Run(here / "run")
    assert again.description.digest() == before
    assert again.description.settings()["data.period"] == 2
    index = Library([here / "run"]).index()
    assert not index["runs"][0]["problems"]
    assert main(["evaluate", "run", "--protocol", "naive", "--trust"]) == 2
    assert "cannot read stripes.py: No such file" in capsys.readouterr().err


def test_a_world_of_an_installed_package(here: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (here / "stripes.py").rename(here / "striped_world.py")
    metadata = here / "striped-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: striped\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[conceptspace.worlds]\nstripes = striped_world:Stripes\n"
    )
    monkeypatch.syspath_prepend(str(here))
    invalidate_caches()
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "--data.period" not in capsys.readouterr().out
    assert "striped_world" not in sys.modules
    assert WORLDS.names()[-1] == "stripes"
    with pytest.raises(SystemExit):
        main(["run", "--data.kind", "stripes", "--help"])
    assert "Pixels from one stripe to the next (2 to 16)" in capsys.readouterr().out
    (here / "own.toml").write_text('[data]\nkind = "stripes"\nresolution = 8\nperiod = 4\n')
    words = "signal quick --config own.toml --data.period 2 --out signal"
    assert main(words.split()) == 0
    assert {"hue", "way"} <= set(capsys.readouterr().out.split())
    assert main(["run", "quick", "--data.kind", "stripe", "--out", "x"]) == 2
    assert "there is no world 'stripe'; did you mean stripes?" in capsys.readouterr().err
    sys.modules.pop("striped_world")


def test_a_network_in_one_file(here: Path, capsys):
    config = merged(TINY, {"model": {"kind": "mlp.py:Mlp", "width": 8}}, "test")
    run, _ = open_or_create(here / "run", config)
    list(Session(run, CPU, here / "probes", "bfloat16").execute())
    weights = checkpoint.load(run.checkpoints, 9)
    assert weights["network.layers.0.weight"].shape == (8, 3 * 64 + 11 + 1)
    first = checkpoint.load(run.checkpoints, 0)
    assert not torch.equal(weights["network.layers.0.weight"], first["network.layers.0.weight"])
    assert (run.config.model.kind, run.config.model.settings()["width"]) == ("mlp.py:Mlp", 8)
    assert main(["evaluate", "run", "--device", "cpu", "--trust"]) == 0
    assert set(run.trajectory()["protocol"]) == {
        "naive",
        "overprompting-color",
        "overprompting-size",
    }
    capsys.readouterr()
    assert main(["evaluate", "run", "--protocol", "latent-intervention", "--trust"]) == 2
    assert "there is no protocol 'latent-intervention' for this run" in capsys.readouterr().err


REFUSED = [
    ("--data.kind stripes.py:Nothing", "stripes.py has no 'Nothing'"),
    ("--data.kind stripes.py:StripesWorld", "is no class that derives from conceptspace.worlds"),
    ("--data.kind no_such_module:Stripes", "cannot be imported from no_such_module"),
    ("--data.kind stripes.py:Stripes --data.period 99", "data.period = 99 is not possible"),
    (
        "--data.kind stripes.py:Stripes --data.flips 0.1",
        "data.flips is a setting of data.kind = ce",
    ),
    ("--data.kind stripes.py:Stripes --data.periods 2", "did you mean --data.period?"),
    ("--data.root faces", "data.root is a setting of data.kind = celeba, and data.kind is shapes"),
    ("--model.kind mlp.py:Mlp --model.blocks 1", "model.blocks is a setting of model.kind = unet"),
]


@pytest.mark.parametrize(("flags", "message"), REFUSED)
def test_what_is_wrong_is_refused_in_one_sentence(here: Path, flags: str, message: str, capsys):
    assert main(f"run quick {flags} --out run".split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (here / "run").exists()


def test_what_is_built_has_to_be_a_world_or_a_network(here: Path, capsys):
    bad = WORLD.replace("return StripesWorld(self.resolution, self.period)", "return object()")
    (here / "bad.py").write_text(bad)
    assert main(["run", "quick", "--data.kind", "bad.py:Stripes", "--out", "run"]) == 2
    assert "builds object, which is no world: it lacks space" in capsys.readouterr().err
    (here / "net.py").write_text(
        NETWORK.replace("return Layers(3 * resolution**2, prompt, self.width)", "return 3")
    )
    words = "run --config tiny.toml --model.kind net.py:Mlp --model.width 8 --out run"
    assert main(words.split()) == 2
    assert "builds int, and a network is a torch.nn.Module" in capsys.readouterr().err


def test_a_registered_class_has_its_name():
    from conceptspace.worlds.config import DataConfig

    class Mine(DataConfig):
        """Nothing."""

    try:
        WORLDS.register("mine-of-tests")(Mine)
        assert WORLDS.get("mine-of-tests") is Mine
        assert TINY.model_copy().data.kind == "shapes"
        assert type(TINY)(data=Mine()).data.kind == "mine-of-tests"
        with pytest.raises(UserError, match="built in"):
            WORLDS.register("shapes")
    finally:
        WORLDS.registered.pop("mine-of-tests", None)
