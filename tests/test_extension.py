"""A run that goes on for longer than it was planned is, byte for byte, the longer run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from conceptspace.cli import main
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.events import Stopped, Trained
from conceptspace.experiment import parts
from conceptspace.experiment.extension import extension
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import tiny_config, tiny_session

SCHEDULES = {
    "explicit": (
        {"train__checkpoint_steps": [0, 4, 9]},
        {"train__steps": 12, "train__checkpoint_steps": [0, 4, 9, 11]},
    ),
    "linear": (
        {
            "train__checkpoint_schedule": "linear",
            "train__checkpoint_steps": [],
            "train__steps": 8,
            "train__first_checkpoint": 2,
            "train__checkpoints": 4,
        },
        {"train__steps": 12},
    ),
}


def both(name: str, **changes: object) -> tuple[RunConfig, RunConfig]:
    """A short config and one with more steps, not fitted yet."""
    short, longer = SCHEDULES[name]
    return tiny_config(**short, **changes), tiny_config(**{**short, **longer}, **changes)


def results(folder: Path) -> dict[str, bytes]:
    patterns = ("config.toml", "checkpoints/*", "trajectory.parquet", "s*/**/*.*")
    files = [path for pattern in patterns for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def log(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "training.parquet").drop(columns="images_per_second")


@pytest.fixture(scope="module")
def planned_runs(tmp_path_factory, probe_cache_folder):
    """The run that was planned as long as another became, by schedule, made once."""

    def get(name, config):
        folder = base / name / "run"
        if not folder.exists():
            list(tiny_session(folder, config, probe_cache_folder).execute())
        assert Run(folder).config == config
        return folder

    base = tmp_path_factory.mktemp("planned")
    return get


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("finished", [True, False])
def test_it_ends_with_the_bytes_of_a_longer_run(
    tmp_path, probe_cache_folder, planned_runs, name, finished
):
    short, asked = both(name, train__weight_average=0.9, train__condition_dropout=0.3)
    folder = tmp_path / "extended" / "run"
    session = tiny_session(folder, short, probe_cache_folder)
    if finished:
        list(session.execute())
    else:
        calls = iter(range(10_000))
        with pytest.raises(Stopped):
            list(session.execute(lambda: next(calls) >= 6))
    found = extension(folder, asked)
    found.carry_out()
    events = list(tiny_session(folder, found.config, probe_cache_folder).execute())
    steps = [event.step for event in events if isinstance(event, Trained)]
    assert steps[-1] == 12
    assert steps[0] > 4, "what was trained is not trained again"

    planned = planned_runs(name, found.config)
    assert results(folder) == results(planned)
    pd.testing.assert_frame_equal(log(folder), log(planned), check_exact=True)


def test_history_tells_extended_runs_apart(tmp_path, probe_cache_folder):
    short, asked = both("linear")
    folder = tmp_path / "run"
    session = tiny_session(folder, short, probe_cache_folder)
    list(session.execute())
    begun = session.run.information()
    assert "extensions" not in begun
    found = extension(folder, asked)
    found.carry_out()
    (change,) = Run(folder).information()["extensions"]
    assert (change["from"], change["to"]) == (8, 12)
    assert change["before"] == begun["config"]
    assert change["config"] == Run(folder).information()["config"]
    more = found.config.train.model_copy(update={"steps": 16})
    extension(folder, found.config.model_copy(update={"train": more})).carry_out()
    assert [c["to"] for c in Run(folder).information()["extensions"]] == [12, 16]
    assert Run(folder).config.train.checkpoints == 8, "2, 4, ..., 16"


@pytest.mark.parametrize("written", [True, False])
def test_cut_short_it_leaves_a_whole_run(tmp_path, monkeypatch, written):
    """Killed after it was announced, before or after the config was written."""
    short, asked = both("linear")
    folder = open_or_create(tmp_path / "run", short)[0].path
    Run(folder).begin()
    found = extension(folder, asked)
    with monkeypatch.context() as patch:

        def killed(path, content):
            if written:
                path.write_bytes(content)
            raise KeyboardInterrupt

        patch.setattr("conceptspace.store.write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            found.carry_out()
    config = found.config if written else short
    assert Run(folder).config == config
    Run(folder).begin()
    information = Run(folder).information()
    assert ("extensions" in information) is written
    assert "extending" not in information
    other = found.config if not written else short
    (folder / "config.toml").write_text(other.text())
    with pytest.raises(UserError, match="not the config with which the run was begun"):
        _ = Run(folder).config


class TestRefused:
    def folder(self, tmp_path: Path, short: RunConfig) -> Path:
        return open_or_create(tmp_path / "run", short)[0].path

    def test_steps_that_would_move_checkpoints(self, tmp_path):
        short, _ = both("linear")
        folder = self.folder(tmp_path, short)
        asked = short.model_copy(update={"train": short.train.model_copy(update={"steps": 11})})
        with pytest.raises(UserError) as error:
            extension(folder, asked)
        assert "--train.steps 10 or --train.steps 12 would keep them" in str(error.value)

    @pytest.mark.parametrize(("kind", "first"), [("sqrt", 500), ("log", 500)])
    def test_the_steps_it_names_do_fit(self, tmp_path, kind, first):
        short = tiny_config(
            train__checkpoint_schedule=kind,
            train__checkpoint_steps=[],
            train__steps=20_000,
            train__first_checkpoint=first,
            train__checkpoints=60,
        )
        folder = self.folder(tmp_path, short)
        asked = short.train.model_copy(update={"steps": 30_000})
        with pytest.raises(UserError, match=r"--train.steps \d+ would keep them") as error:
            extension(folder, short.model_copy(update={"train": asked}))
        steps = int(str(error.value).split("would keep")[0].split()[-1])
        longer = short.train.model_copy(update={"steps": steps})
        found = extension(folder, short.model_copy(update={"train": longer}))
        planned = parts.checkpoints(found.config)
        assert planned[:60] == parts.checkpoints(short)
        assert planned[-1] == steps

    def test_listed_steps_without_a_new_one(self, tmp_path):
        short, _ = both("explicit")
        asked = short.model_copy(update={"train": short.train.model_copy(update={"steps": 12})})
        with pytest.raises(UserError, match="would have no checkpoint after step 9"):
            extension(self.folder(tmp_path, short), asked)

    def test_listed_steps_that_are_not_there(self, tmp_path):
        short, _ = both("explicit")
        longer = tiny_config(train__steps=12, train__checkpoint_steps=[0, 3, 9, 12])
        with pytest.raises(UserError, match="would have others before it; or name the steps"):
            extension(self.folder(tmp_path, short), longer)

    def test_patching_that_knew_the_last_checkpoint(self, tmp_path):
        short, asked = both("linear")
        folder = self.folder(tmp_path / "my runs", short)
        (folder / "scores" / "patching").mkdir(parents=True)
        with pytest.raises(UserError, match=f"rm -r '{folder}/scores/patching' '{folder}/samples"):
            extension(folder, asked)

    @pytest.mark.parametrize("changes", [{"seed": 5}, {"train__batch_size": 5}])
    def test_anything_else_that_differs_is_no_extension(self, tmp_path, changes):
        short, _ = both("linear")
        folder = self.folder(tmp_path, short)
        _, asked = both("linear", **changes)
        assert extension(folder, asked) is None
        with pytest.raises(UserError, match="holds a run with another config"):
            open_or_create(folder, asked)

    def test_a_folder_that_names_code_is_compared_without_it(self, tmp_path):
        short, asked = both("linear")
        folder = self.folder(tmp_path, short)
        evil = tmp_path / "evil.py"
        evil.write_text("raise SystemExit('it was run')")
        config = folder / "config.toml"
        config.write_text(config.read_text().replace("[data]", f'[data]\nkind = "{evil}:Evil"'))
        assert extension(folder, asked) is None

    def test_fewer_steps(self, tmp_path):
        short, _ = both("linear")
        fewer = short.train.model_copy(update={"steps": 6})
        asked = short.model_copy(update={"train": fewer})
        assert extension(self.folder(tmp_path, short), asked) is None


def test_from_the_command_line(tmp_path, monkeypatch, capsys, probe_cache_folder):
    monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
    short, _ = both("linear")
    folder = tmp_path / "run"
    list(tiny_session(folder, short, probe_cache_folder).execute())
    asked = ["run", "--out", str(folder), "--train.steps", "12"]
    assert main([*asked, "--dry-run"]) == 0
    message = f"the run in {folder} goes on from step 8 to 12, with 6 checkpoints"
    assert message in capsys.readouterr().out
    assert Run(folder).config == short
    assert main(asked) == 0
    assert message in capsys.readouterr().err
    assert checkpoint.saved_steps(folder / "checkpoints") == [2, 4, 6, 8, 10, 12]
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert main([*asked[:-1], "13"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--train.steps 12" not in err
    assert "--train.steps 14 would keep them" in err


def test_a_protocol_may_need_a_checkpoint_that_stays(tmp_path, capsys):
    """Spread anew over more steps, the same number of checkpoints would leave out step 4."""
    short, _ = both("linear", evaluate__protocols=["patching-4"])
    folder = open_or_create(tmp_path / "run", short)[0].path
    assert main(["run", "--out", str(folder), "--train.steps", "12", "--dry-run"]) == 0
    assert "goes on from step 8 to 12" in capsys.readouterr().out
