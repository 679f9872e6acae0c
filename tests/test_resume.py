"""A run that was interrupted, in any way, ends with the same bytes as one that was not."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import pandas as pd
import pytest

from conceptspace.errors import UserError
from conceptspace.events import Evaluated, Notice, Stopped, Trained
from conceptspace.experiment.completeness import Incomplete
from conceptspace.run_folder import step_name
from conceptspace.training import checkpoint
from tiny import tiny_config, tiny_session

CONFIGS = {
    "plain": {},
    "dropout": {"model__dropout": 0.2, "data__masked_class": "01", "data__masked_share": 0.5},
    "guidance": {"train__condition_dropout": 0.3, "train__weight_average": 0.9},
    "learned": {"model__schedule": "learned_linear", "evaluate__sampler": "ddim"},
}


def after(calls: int):
    """A stop callback that says yes from the given call on."""
    count = iter(range(1, 10_000))
    return lambda: next(count) >= calls


def results(folder: Path) -> dict[str, bytes]:
    """Everything that has to be the same, to the byte."""
    patterns = ("checkpoints/*", "trajectory.parquet", "samples/**/*.*", "scores/**/*.parquet")
    files = [path for pattern in patterns for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def notices(events) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module", autouse=True)
def trained_probe(tmp_path_factory, probe_cache_folder):
    """The one probe of all these runs, so that ``after`` counts their own steps alone."""
    session = tiny_session(tmp_path_factory.mktemp("probe"), tiny_config(), probe_cache_folder)
    next(event for event in session.execute() if isinstance(event, Trained))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, probe_cache_folder):
    """The results of whole runs, each made once."""
    made = {}

    def get(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "run"
            config = tiny_config(**CONFIGS[name])
            list(tiny_session(folder, config, probe_cache_folder).execute())
            made[name] = folder
        return made[name]

    return get


@pytest.mark.parametrize("name", CONFIGS)
def test_stopped_between_checkpoints_and_resumed(tmp_path, uninterrupted, probe_cache_folder, name):
    folder, config = tmp_path / "run", tiny_config(**CONFIGS[name])
    with pytest.raises(Stopped) as stopped:
        list(tiny_session(folder, config, probe_cache_folder).execute(after(6)))
    assert stopped.value.step == 6
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    assert checkpoint.saved_steps(folder / "checkpoints") == [0, 4]
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    assert "resuming at step 6" in notices(events)
    assert [e.step for e in events if isinstance(e, Trained)] == [7, 8, 9]
    expected = results(uninterrupted(name))
    found = results(folder)
    assert set(found) == set(expected)
    assert [path for path in found if found[path] != expected[path]] == []
    logs = [
        pd.read_parquet(f / "training.parquet").drop(columns="images_per_second")
        for f in (folder, uninterrupted(name))
    ]
    pd.testing.assert_frame_equal(*logs, check_exact=True)
    assert list(logs[0]["step"]) == list(range(1, 10))


def test_what_a_run_leaves(uninterrupted):
    folder = uninterrupted("plain")
    assert checkpoint.saved_steps(folder / "checkpoints") == [0, 4, 9]
    assert checkpoint.saved_steps(folder / "resume") == [4, 9]
    information = json.loads((folder / "run.json").read_text())
    assert information["status"] == "finished"
    assert information["seconds"] > 0
    assert len(information["probe"]["hash"]) == 64
    table = pd.read_parquet(folder / "trajectory.parquet")
    assert sorted(table["step"].unique()) == [0, 4, 9]
    assert set(table["concept_class"]) == {"00", "01", "10", "11"}
    assert len(table) == 3 * 4 * 3
    assert len(list((folder / "samples" / "naive").glob("*.png"))) == 3


class TestRunJson:
    def information(self, folder):
        return json.loads((folder / "run.json").read_text())

    def test_seconds_add_up_over_sessions(self, tmp_path, probe_cache_folder, monkeypatch):
        folder, config, clock = tmp_path / "run", tiny_config(), iter(range(10_000))
        counted = SimpleNamespace(perf_counter=lambda: float(next(clock)))
        monkeypatch.setattr("conceptspace.recording.work.time", counted)
        before = 0
        for calls in (2, 3, 1000, 1000):
            first = next(clock)
            with contextlib.suppress(Stopped):
                list(tiny_session(folder, config, probe_cache_folder).execute(after(calls)))
            seconds = self.information(folder)["seconds"]
            assert seconds == before + (next(clock) - 1) - (first + 1)
            before = seconds
        assert self.information(folder)["status"] == "finished"

    def test_stopped_while_scoring(self, tmp_path, probe_cache_folder):
        folder, config = tmp_path / "run", tiny_config()
        with pytest.raises(Stopped):
            list(tiny_session(folder, config, probe_cache_folder).execute(after(10)))
        assert self.information(folder)["status"] == "stopped"
        assert self.information(folder)["seconds"] > 0

    def test_stopped_while_the_probe_is_trained(self, tmp_path):
        folder, config = tmp_path / "run", tiny_config()
        with pytest.raises(Stopped):
            list(tiny_session(folder, config, tmp_path / "cache").execute(after(1)))
        assert self.information(folder)["status"] == "stopped"

    @pytest.mark.parametrize(
        ("exception", "status"), [(RuntimeError, "failed"), (KeyboardInterrupt, "stopped")]
    )
    def test_ended_by_an_exception(self, tmp_path, probe_cache_folder, exception, status):
        session = tiny_session(tmp_path / "run", tiny_config(), probe_cache_folder)

        def end(*arguments):
            sleep(0.1)  # the time is kept in tenths of a second
            raise exception

        session._score = end
        with pytest.raises(exception):
            list(session.execute())
        assert self.information(tmp_path / "run")["status"] == status
        assert self.information(tmp_path / "run")["seconds"] > 0

    def test_left_by_its_caller(self, tmp_path, probe_cache_folder):
        events = tiny_session(tmp_path / "run", tiny_config(), probe_cache_folder).execute()
        next(events)
        assert self.information(tmp_path / "run")["status"] == "running"
        events.close()
        assert self.information(tmp_path / "run")["status"] == "stopped"


def test_stopped_while_the_probe_is_trained(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    with pytest.raises(Stopped) as stopped:
        list(tiny_session(folder, config, tmp_path / "cache").execute(after(2)))
    assert stopped.value.step == 0
    left = [path for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock"]
    assert left == [], "nothing half-written"
    assert not (folder / "checkpoints").exists()
    list(tiny_session(folder, config, tmp_path / "cache").execute())
    assert results(folder) == results(uninterrupted("plain"))


def test_a_killed_run_goes_on_from_its_last_state(tmp_path, uninterrupted, probe_cache_folder):
    """No warning, nothing saved after step 4: the steps after it are done again."""
    folder, config = tmp_path / "run", tiny_config()
    for event in tiny_session(folder, config, probe_cache_folder).execute():
        if isinstance(event, Trained) and event.step == 6:
            break
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    assert "resuming at step 4" in notices(events)
    assert results(folder) == results(uninterrupted("plain"))


def test_killed_before_a_checkpoint_was_scored(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    session = tiny_session(folder, config, probe_cache_folder)

    score = session._score

    def crash(model, protocol, step):
        if step == 4:
            raise RuntimeError("killed")
        return score(model, protocol, step)

    session._score = crash
    with pytest.raises(RuntimeError, match="killed"):
        list(session.execute())
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    assert [e.step for e in events if isinstance(e, Evaluated)] == [9, 4]
    assert results(folder) == results(uninterrupted("plain"))


def test_killed_between_a_sheet_and_its_scores(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    (folder / "scores" / "naive" / f"{step_name(4)}.parquet").unlink()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    assert results(folder) == results(uninterrupted("plain"))


def test_a_finished_run_is_left_as_it_is(uninterrupted, probe_cache_folder):
    folder = uninterrupted("plain")
    before = results(folder)
    times = {path: (folder / path).stat().st_mtime_ns for path in before if "traj" not in path}
    events = list(tiny_session(folder, tiny_config(), probe_cache_folder).execute())
    assert not [e for e in events if isinstance(e, Trained | Evaluated)]
    assert results(folder) == before
    assert {path: (folder / path).stat().st_mtime_ns for path in times} == times


def test_a_damaged_newest_state_gives_way_to_the_older(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    with pytest.raises(Stopped):
        list(tiny_session(folder, config, probe_cache_folder).execute(after(6)))
    newest = folder / "resume" / f"{step_name(6)}.safetensors"
    damage(newest)
    texts = notices(tiny_session(folder, config, probe_cache_folder).execute())
    assert any(str(newest) in text and "damaged" in text and "older" in text for text in texts)
    assert "resuming at step 4" in texts
    assert not [text for text in texts if "from step 0" in text]
    assert results(folder) == results(uninterrupted("plain"))


def test_damaged_states_do_not_take_the_place_of_whole_ones(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config(train__checkpoint_steps=[2, 4, 6])
    with pytest.raises(Stopped):
        list(tiny_session(folder, config, probe_cache_folder).execute(after(5)))
    damage(folder / "resume" / f"{step_name(5)}.safetensors")
    for event in tiny_session(folder, config, probe_cache_folder).execute():
        if isinstance(event, Evaluated):
            break
    assert checkpoint.saved_steps(folder / "resume") == [4, 6], "not 5"
    for path in (folder / "resume").glob("*.safetensors"):
        damage(path)
    for event in tiny_session(folder, config, probe_cache_folder).execute():
        if isinstance(event, Trained) and event.step == 3:
            break
    assert checkpoint.saved_steps(folder / "resume") == [2], "later damaged ones are no reason"


def test_without_a_whole_state_it_starts_anew(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    with pytest.raises(Stopped):
        list(tiny_session(folder, config, probe_cache_folder).execute(after(6)))
    for path in (folder / "resume").glob("*.safetensors"):
        damage(path)
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    texts = notices(events)
    lost = f"no whole training state is left in {folder / 'resume'}; starting again from step 0"
    assert lost in texts
    assert not [text for text in texts if "resuming" in text]
    assert [e.step for e in events if isinstance(e, Trained)] == list(range(1, 10))
    assert results(folder) == results(uninterrupted("plain"))


def test_without_any_state_it_says_so_where_there_were_checkpoints(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    texts = notices(tiny_session(folder, config, probe_cache_folder).execute())
    assert not [text for text in texts if "from step 0" in text], "not in a new run"
    shutil.rmtree(folder / "resume")
    texts = notices(tiny_session(folder, config, probe_cache_folder).execute())
    assert [text for text in texts if "from step 0" in text]


def test_a_damaged_log_is_set_aside_and_the_run_goes_on(
    tmp_path, uninterrupted, probe_cache_folder
):
    folder, config = tmp_path / "run", tiny_config()
    with pytest.raises(Stopped):
        list(tiny_session(folder, config, probe_cache_folder).execute(after(6)))
    log, aside = folder / "training.parquet", folder / "training.parquet.damaged"
    log.write_bytes(b"nonsense")
    texts = notices(tiny_session(folder, config, probe_cache_folder).execute())
    assert [t for t in texts if str(log) in t and aside.name in t and "from step 6" in t]
    assert aside.read_bytes() == b"nonsense"
    assert list(pd.read_parquet(log)["step"]) == [7, 8, 9]
    assert results(folder) == results(uninterrupted("plain"))


def test_a_finished_run_without_its_log_can_be_trained_again(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    session = tiny_session(folder, config, probe_cache_folder)
    list(session.execute())
    (folder / "training.parquet").write_bytes(b"nonsense")
    list(tiny_session(folder, config, probe_cache_folder).execute())
    with pytest.raises(UserError, match=f"delete {folder / 'resume'} and train again"):
        session.run.training()
    before = results(folder)
    shutil.rmtree(folder / "resume")
    list(tiny_session(folder, config, probe_cache_folder).execute())
    assert list(session.run.training()["step"]) == list(range(1, 10))
    assert results(folder) == before


def test_damaged_scores_can_be_made_again(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    path = folder / "scores" / "naive" / f"{step_name(4)}.parquet"
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=f"{path} is damaged .*delete it"):
        list(tiny_session(folder, config, probe_cache_folder).evaluate(["naive"]))
    path.unlink()
    list(tiny_session(folder, config, probe_cache_folder).evaluate(["naive"]))
    assert results(folder) == results(uninterrupted("plain"))


def test_a_damaged_sheet_can_be_made_again(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    name = step_name(4)
    sheet = folder / "samples" / "naive" / f"{name}.png"
    scores = folder / "scores" / "naive" / f"{name}.parquet"
    sheet.write_bytes(sheet.read_bytes()[:50])
    scores.unlink()
    with pytest.raises(UserError, match=f"{sheet} is damaged; delete"):
        list(tiny_session(folder, config, probe_cache_folder).evaluate(["naive"]))
    for path in (scores, *sheet.parent.glob(f"{name}.*")):
        path.unlink(missing_ok=True)
    list(tiny_session(folder, config, probe_cache_folder).evaluate(["naive"]))
    assert results(folder) == results(uninterrupted("plain"))


@pytest.mark.parametrize("how", [damage, Path.unlink])
@pytest.mark.parametrize("step", [0, 4])
def test_a_lost_checkpoint_is_made_again(tmp_path, uninterrupted, probe_cache_folder, how, step):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    how(folder / "checkpoints" / f"{step_name(step)}.safetensors")
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    notice = f"the checkpoints of step {step} are missing or damaged in {folder / 'checkpoints'}"
    assert any(text.startswith(notice) for text in notices(events))
    assert results(folder) == results(uninterrupted("plain"))


def test_a_lost_last_checkpoint_is_made_again_from_its_state(
    tmp_path, uninterrupted, probe_cache_folder
):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    damage(folder / "checkpoints" / f"{step_name(9)}.safetensors")
    events = list(tiny_session(folder, config, probe_cache_folder).execute())
    assert not [e for e in events if isinstance(e, Trained)]
    assert results(folder) == results(uninterrupted("plain"))


def test_evaluation_names_checkpoints_that_are_missing_or_damaged(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    damage(path := folder / "checkpoints" / f"{step_name(4)}.safetensors")
    (folder / "checkpoints" / f"{step_name(0)}.safetensors").unlink()
    for scores in (folder / "scores" / "naive").iterdir():
        scores.unlink()
    events = list(tiny_session(folder, config, probe_cache_folder).evaluate(["naive"]))
    assert any(str(path) in text and "damaged" in text for text in notices(events))
    assert any(text.startswith("the checkpoints of step 0 are missing") for text in notices(events))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [9]


def test_a_run_that_lacks_a_checkpoint_is_not_called_finished(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    session = tiny_session(folder, config, probe_cache_folder)
    lost = folder / "checkpoints" / f"{step_name(4)}.safetensors"

    def work():
        for event in session.execute():
            if isinstance(event, Evaluated) and event.step == 9:
                lost.unlink()

    with pytest.raises(Incomplete, match="lacks the checkpoints of step 4, which were damaged"):
        work()
    assert session.run.information()["status"] == "failed"


def test_a_run_that_lacks_a_protocol_at_a_checkpoint_is_not_called_finished(
    tmp_path, probe_cache_folder
):
    config = tiny_config(evaluate__protocols=("overprompting-color",))
    session = tiny_session(tmp_path / "run", config, probe_cache_folder)
    path = tmp_path / "run" / "checkpoints" / f"{step_name(4)}.safetensors"

    def work():
        for event in session.execute():
            if isinstance(event, Evaluated) and (event.step, event.protocol) == (9, "naive"):
                damage(path)

    with pytest.raises(Incomplete, match="lacks the checkpoints of step 4, which were damaged"):
        work()
    assert session.run.information()["status"] == "failed"
    list(tiny_session(session.run.path, config, probe_cache_folder).execute())
    assert session.run.information()["status"] == "finished"


def test_two_probes_do_not_score_one_run_in_silence(tmp_path, probe_cache_folder):
    session = tiny_session(tmp_path / "run", tiny_config(), probe_cache_folder)
    next(event for event in session.execute() if isinstance(event, Evaluated))
    run = session.run
    run.note(probe=run.information()["probe"] | {"hash": "f" * 64})

    def said():
        again = tiny_session(run.path, tiny_config(), probe_cache_folder)
        texts = [e.text for e in again.evaluate(["naive"]) if isinstance(e, Notice)]
        return [text for text in texts if "was scored by the probe ffffffffffff" in text]

    assert len(said()) == 1
    assert said() == []


def test_stopped_while_scoring(tmp_path, uninterrupted, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config()
    list(tiny_session(folder, config, probe_cache_folder).execute())
    for scores in (folder / "scores" / "naive").iterdir():
        scores.unlink()
    with pytest.raises(Stopped):
        list(tiny_session(folder, config, probe_cache_folder).execute(after(2)))
    assert len(list((folder / "scores" / "naive").iterdir())) == 2
    list(tiny_session(folder, config, probe_cache_folder).execute())
    assert results(folder) == results(uninterrupted("plain"))


def test_two_processes_do_not_work_on_one_run(tmp_path):
    first = tiny_session(tmp_path / "run", tiny_config(), tmp_path)
    second = tiny_session(tmp_path / "run", tiny_config(), tmp_path)
    working = first.execute()
    next(working)
    for work in (second.execute(), second.evaluate(["naive"])):
        with pytest.raises(UserError, match=r"another process is working on .*run"):
            next(work)
    working.close()
    assert [*second.execute()], "free again"
