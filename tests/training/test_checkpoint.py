from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from conceptspace.events import Stopped
from conceptspace.run_folder import step_name
from conceptspace.training import checkpoint
from conceptspace.training.checkpoint import DamagedCheckpoint

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


def test_round_trip(tmp_path):
    checkpoint.save(tmp_path, 12, TENSORS, note="x")
    loaded = checkpoint.load(tmp_path, 12)
    assert set(loaded) == {"a", "b"}
    assert all(torch.equal(loaded[k], TENSORS[k]) for k in TENSORS)
    assert loaded["b"].dtype == torch.int64
    assert checkpoint.information(tmp_path, 12)["note"] == "x"
    assert checkpoint.information(tmp_path, 12)["step"] == 12


def test_strides_do_not_matter(tmp_path):
    images = torch.rand(2, 3, 4, 5)
    first = checkpoint.save(tmp_path / "a", 0, {"x": images})
    last = images.to(memory_format=torch.channels_last)
    second = checkpoint.save(tmp_path / "b", 0, {"x": last})
    assert first.read_bytes() == second.read_bytes()
    assert torch.equal(checkpoint.load(tmp_path / "b", 0)["x"], images)


def test_names_sort_like_steps(tmp_path):
    for step in (1000, 5, 70):
        checkpoint.save(tmp_path, step, TENSORS)
    assert checkpoint.saved_steps(tmp_path) == [5, 70, 1000]
    names = sorted(p.name for p in tmp_path.glob("*.safetensors"))
    assert names == [f"{step_name(s)}.safetensors" for s in (5, 70, 1000)]


def test_copies_and_strangers_are_no_checkpoints(tmp_path):
    path = checkpoint.save(tmp_path, 3, TENSORS)
    for name in ("step-00000003 (copy)", "step-x", "step-", "step-3"):
        (tmp_path / f"{name}.json").write_bytes(path.with_suffix(".json").read_bytes())
        (tmp_path / f"{name}.safetensors").write_bytes(path.read_bytes())
    assert checkpoint.saved_steps(tmp_path) == [3]


def test_an_empty_or_missing_folder_has_no_checkpoints(tmp_path):
    assert checkpoint.saved_steps(tmp_path) == []
    assert checkpoint.saved_steps(tmp_path / "nothing") == []


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_single_wrong_bit_is_found(tmp_path, position):
    path = checkpoint.save(tmp_path, 3, TENSORS)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint) as error:
        checkpoint.load(tmp_path, 3)
    assert str(path) in str(error.value)


def test_a_shortened_file_is_found(tmp_path):
    path = checkpoint.save(tmp_path, 3, TENSORS)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DamagedCheckpoint, match="damaged"):
        checkpoint.load(tmp_path, 3)


def test_a_file_of_something_else_is_found(tmp_path):
    """Its hash is right, and still it holds no tensors."""
    from conceptspace.files import sha256

    path = checkpoint.save(tmp_path, 3, TENSORS)
    path.write_bytes(b"nonsense")
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256(b"nonsense")}))
    with pytest.raises(DamagedCheckpoint, match="cannot be read") as error:
        checkpoint.load(tmp_path, 3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"text"', '{"sha256": 3}'])
def test_damaged_json_is_found(tmp_path, content):
    path = checkpoint.save(tmp_path, 3, TENSORS)
    path.with_suffix(".json").write_text(content)
    with pytest.raises(DamagedCheckpoint) as error:
        checkpoint.load(tmp_path, 3)
    assert str(path) in str(error.value)


def test_without_its_json_a_checkpoint_is_not_there(tmp_path):
    path = checkpoint.save(tmp_path, 3, TENSORS)
    path.with_suffix(".json").unlink()
    assert checkpoint.saved_steps(tmp_path) == []
    with pytest.raises(DamagedCheckpoint):
        checkpoint.load(tmp_path, 3)


def test_without_its_tensors_a_checkpoint_is_not_there(tmp_path):
    checkpoint.save(tmp_path, 3, TENSORS).unlink()
    assert checkpoint.saved_steps(tmp_path) == []


def test_remove_leaves_nothing(tmp_path):
    checkpoint.save(tmp_path, 3, TENSORS)
    checkpoint.save(tmp_path, 4, TENSORS)
    checkpoint.remove(tmp_path, 3)
    assert checkpoint.saved_steps(tmp_path) == [4]
    assert len(list(tmp_path.iterdir())) == 2
    checkpoint.remove(tmp_path, 3)


@pytest.mark.parametrize("failing_write", [1, 2])
def test_a_crash_while_saving_leaves_no_half_checkpoint(tmp_path, monkeypatch, failing_write):
    """Whichever of the two files is being written when the disk gives up."""
    checkpoint.save(tmp_path, 3, TENSORS)
    fsync, files = os.fsync, []

    def fail(descriptor):
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):
            files.append(descriptor)
            if len(files) == failing_write:
                raise OSError("no space left")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, 3, {"a": torch.zeros(2, 3)})
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*")), "no temporary file stays"
    assert checkpoint.saved_steps(tmp_path) == []


class TestWriter:
    def test_writes_what_the_tensors_were_when_asked(self, tmp_path):
        tensor = torch.zeros(1000)
        with checkpoint.Writer() as writer:
            for step in range(5):
                writer.save(tmp_path, step, {"x": tensor})
                tensor += 1
        for step in range(5):
            assert checkpoint.load(tmp_path, step)["x"].unique().tolist() == [step]

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
    def test_its_thread_starts_no_others(self, tmp_path):
        """A second team of OpenMP threads made every later step take twice as long."""
        code = (
            "import os, torch\n"
            "from pathlib import Path\n"
            "from conceptspace.training.checkpoint import Writer\n"
            "torch.set_num_threads(2)\n"
            "innermost = torch.randn(64, 64, 32, 32).to(memory_format=torch.channels_last)\n"
            "innermost.clone(memory_format=torch.contiguous_format)\n"
            "count = lambda: len(os.listdir('/proc/self/task'))\n"
            "before = count()\n"
            "with Writer() as writer:\n"
            f"    writer.save(Path({str(tmp_path)!r}), 1, {{'x': innermost}})\n"
            "    writer.then(lambda: print(count() - before))\n"
        )
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert (ended.stdout, ended.stderr) == ("1\n", "")

    def test_what_comes_then_sees_what_was_written(self, tmp_path):
        seen = []
        with checkpoint.Writer() as writer:
            for step in (3, 4):
                writer.save(tmp_path, step, TENSORS)
                writer.then(lambda: seen.append(checkpoint.saved_steps(tmp_path)))
        assert seen == [[3], [3, 4]]

    def test_a_failure_is_not_lost(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"), checkpoint.Writer() as writer:
            writer.save(tmp_path / "file" / "below", 1, TENSORS)

    def test_the_failure_of_the_caller_is_not_hidden(self, tmp_path):
        (tmp_path / "file").write_text("")

        def work():
            with checkpoint.Writer() as writer:
                writer.save(tmp_path / "file" / "below", 1, TENSORS)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as error:
            work()
        (note,) = error.value.__notes__
        assert note.startswith("and what should be saved could not be: ")

    @pytest.mark.parametrize("orderly", [Stopped(3), KeyboardInterrupt()])
    def test_a_stop_does_not_hide_that_nothing_was_saved(self, tmp_path, orderly):
        (tmp_path / "file").write_text("")

        def work():
            with checkpoint.Writer() as writer:
                writer.save(tmp_path / "file" / "below", 1, TENSORS)
                raise orderly

        with pytest.raises(OSError, match="file"):
            work()

    def test_nothing_is_written_after_a_failure(self, tmp_path):
        (tmp_path / "file").write_text("")

        def work():
            with checkpoint.Writer() as writer:
                writer.save(tmp_path / "file" / "below", 1, TENSORS)
                writer.save(tmp_path, 2, TENSORS)

        with pytest.raises(OSError, match="file"):
            work()
        assert checkpoint.saved_steps(tmp_path) == []

    def test_few_jobs_wait(self, tmp_path):
        release, done = threading.Event(), []
        with checkpoint.Writer() as writer:
            for _ in range(checkpoint.MOST_UNDER_WAY):
                writer.then(lambda: release.wait(10) and done.append(1))
            threading.Timer(0.2, release.set).start()
            writer.then(lambda: None)
            assert done, "the call waited for the first job"
