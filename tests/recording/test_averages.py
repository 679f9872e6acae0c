"""Scores are averaged when they come, and a file of scores is read once, if at all."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from foreign import SPACE, Painter, judge

from conceptspace import store
from conceptspace.errors import UserError
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.recording.averages import Averages
from conceptspace.recording.book import Book
from conceptspace.recording.recorder import Recorder
from conceptspace.recording.scoring import trajectory
from conceptspace.store import Run
from conceptspace.worlds.naming import SpacePrompts
from tiny import tiny_config, tiny_session


@pytest.fixture
def reads(monkeypatch):
    """How often each file of scores has been read."""
    counted, read = Counter(), store.read_table

    def reading(path, remedy):
        counted[path] += path.parent.parent.name == "scores"
        return read(path, remedy)

    monkeypatch.setattr(store, "read_table", reading)
    return counted


class Named(Overprompting):
    """The same way to ask under another name."""

    def __init__(self, name):
        super().__init__(SpacePrompts(SPACE), "hue", (1.5,))
        self.own = name

    @property
    def name(self):
        return self.own


def recorded(folder, steps):
    asked = [Named(name) for name in "abc"]
    with Recorder(folder, SPACE, judge, asked, samples=2, steps=steps) as recorder:
        for step in steps:
            recorder.checkpoint(step, Painter())


def test_a_recording_reads_no_scores_and_goes_on_after_one_look(tmp_path, reads):
    recorded(tmp_path, range(1, 4))
    assert len(list(tmp_path.glob("scores/*/*.parquet"))) == 12
    assert reads.total() == 0
    recorded(tmp_path, range(1, 4))
    assert len(reads) == 12
    assert set(reads.values()) == {1}


@pytest.mark.slow
def test_a_run_of_ten_checkpoints_and_four_protocols_reads_no_scores(tmp_path, reads):
    steps = list(range(1, 11))
    config = tiny_config(train__steps=10, train__checkpoint_steps=steps)
    session = tiny_session(tmp_path / "run", config, tmp_path / "cache")
    list(session.execute())
    list(session.evaluate(["overprompting-color", "overprompting-size", "patching"]))
    assert len(session.run.folder.all_scores()) == 40
    assert reads.total() == 0
    again = tiny_session(tmp_path / "run", config, tmp_path / "cache")
    list(again.evaluate(["overprompting-color"]))
    assert max(reads.values()) == 1
    assert len([path for path, count in reads.items() if count]) == 40


def test_the_trajectory_is_that_of_all_scores_at_once(tmp_path):
    recorded(tmp_path, range(1, 4))
    run = Run(tmp_path)
    pd.testing.assert_frame_equal(run.trajectory(), trajectory(run.scores()))
    before = run.folder.trajectory.read_bytes()
    recorded(tmp_path, range(1, 4))
    assert run.folder.trajectory.read_bytes() == before, "from files as from memory"


class TestFilesThatChange:
    def test_what_was_replaced_is_read_again(self, tmp_path, reads):
        recorded(tmp_path, [1])
        run, averages = Run(tmp_path), Averages()
        path = run.folder.scores("a", 1)
        first = averages.of(path)
        assert averages.of(path) is first
        path.with_name("new").write_bytes(run.folder.scores("naive", 1).read_bytes())
        path.with_name("new").replace(path)
        assert len(averages.of(path).table) > len(first.table)
        assert reads[path] == 2

    def test_damage_is_reported(self, tmp_path):
        recorded(tmp_path, [1])
        path = Run(tmp_path).folder.scores("a", 1)
        book = Book(Run(tmp_path), 0, SPACE.classes)
        assert book.scored("a", 1) == {("1.5", "11")}
        path.write_bytes(path.read_bytes()[:-9])
        for asked in (lambda: book.scored("a", 1), lambda: book.collect(SPACE.names, {})):
            with pytest.raises(UserError, match="is damaged"):
                asked()

    def test_what_was_deleted_is_gone(self, tmp_path):
        recorded(tmp_path, [1])
        run = Run(tmp_path)
        book = Book(run, 0, SPACE.classes)
        book.collect(SPACE.names, {})
        run.folder.scores("a", 1).unlink()
        assert book.scored("a", 1) == set()
        book.collect(SPACE.names, {})
        assert set(run.trajectory()["protocol"]) == {"naive", "b", "c"}
        for path in run.folder.all_scores():
            path.unlink()
        with pytest.raises(UserError, match="has not been evaluated"):
            book.collect(SPACE.names, {})
