"""What the system refuses is reported in one sentence, with a status that is not zero."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conceptspace import files
from conceptspace.cli import main
from conceptspace.files import Disk
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import TINY, tiny_config

PROGRAM = [sys.executable, "-m", "conceptspace"]
PAGELESS = [
    sys.executable,
    "-c",
    "from conceptspace.cli import commands, main\n"
    "commands._report = lambda *arguments: None\n"
    "raise SystemExit(main())",
]
"""The program without the page that a run ends with, which takes as long as the tiny run."""


class FullBelow(Disk):
    """Nothing can be written into a folder of this name."""

    def __init__(self, name):
        self.name = name

    def write(self, path, content):
        if self.name in path.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(path, content)


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_config(train__steps=6, train__checkpoint_steps=[0, 3, 6]).to_toml())
    return ["run", "--config", str(path), "--out", str(tmp_path / "r")]


def sentence(capsys):
    """The last line of what was said, which must be the only one about what went wrong."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("conceptspace: ")]
    assert len(lines) == 1, err
    return lines[0]


def test_a_full_disk_under_the_checkpoints_loses_none(tmp_path, tiny, monkeypatch, capsys):
    monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
    with monkeypatch.context() as patch:
        patch.setattr(files, "DISK", FullBelow("checkpoints"))
        assert main(tiny) == 1
    message = sentence(capsys)
    assert re.match(r"conceptspace: No space left on device: .*/checkpoints/step-00000000", message)
    assert Run(tmp_path / "r").information()["status"] == "failed"
    assert main(tiny) == 0
    assert checkpoint.saved_steps(tmp_path / "r" / "checkpoints") == [0, 3, 6]


def test_stopping_does_not_say_that_something_was_saved(tmp_path, tiny, monkeypatch, capsys):
    """SIGTERM while the disk of the training states is full."""
    from conceptspace.experiment.session import Session

    execute = Session.execute
    monkeypatch.setattr(Session, "execute", lambda s, stop: execute(s, after(stop)))

    def after(stop):
        calls = iter(range(10_000))
        return lambda: next(calls) >= 4

    monkeypatch.setattr(files, "DISK", FullBelow("resume"))
    assert main(tiny) == 1
    message = sentence(capsys)
    assert "No space left on device" in message
    assert "go on with" not in message


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_folder_that_cannot_be_written(tiny, monkeypatch, capsys, error):
    class Refusing(Disk):
        def write(self, path, content):
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(files, "DISK", Refusing())
    assert main(tiny) in (1, 2)
    assert os.strerror(error) in sentence(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "quick", "--out", "x" * 300],
        ["run", "--config", "{folder}", "--out", "{folder}/new"],
        ["run", "--config", "{bytes}", "--out", "{folder}/new"],
        ["report", "{run}", "-o", "{folder}"],
        ["report", "{run}", "-o", "{file}/below/page.html"],
        ["signal", "quick", "--out", "{file}"],
        ["info", "{folder}/\udcff"],
        ["info", "x" * 300],
        ["report", "{run}", "-o", "{folder}/" + "x" * 300],
        ["report", "{run}", "-o", "{folder}/p.html", "--note", "{bytes}"],
        ["run", "--config", "x" * 300, "--out", "{folder}/new"],
        ["sweep", "{bytes}", "--out", "{folder}/new"],
        ["sweep", "status", "{folder}/" + "x" * 300],
        ["analyze", "{bytes}"],
        ["serve", "{folder}/" + "x" * 300, "--port", "0"],
        ["run", "--config", "{pipe}", "--out", "{folder}/new"],
        ["run", "--config", "/dev/zero", "--out", "{folder}/new"],
        ["report", "{run}", "-o", "{folder}/p.html", "--note", "{pipe}"],
        ["sweep", "{pipe}", "--out", "{folder}/new"],
        ["analyze", "/dev/zero"],
    ],
)
def test_places_that_will_not_do(tmp_path, capsys, arguments):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.csv")
    open_or_create(tmp_path / "run", TINY)
    places = {
        "folder": tmp_path,
        "file": tmp_path / "file",
        "bytes": tmp_path / "bytes.toml",
        "pipe": tmp_path / "pipe.csv",
        "run": tmp_path / "run",
    }
    assert main([argument.format(**places) for argument in arguments]) in (1, 2)
    assert sentence(capsys)
    assert (tmp_path / "file").read_text() == ""


def test_a_lock_that_cannot_be_taken(tmp_path, tiny, capsys):
    """As in a run on a read-only mount, whose config is there."""
    config = tiny_config(train__steps=6, train__checkpoint_steps=[0, 3, 6])
    run = open_or_create(tmp_path / "r", config)[0].path
    (run / ".lock").unlink(missing_ok=True)
    (run / ".lock").mkdir()
    before = sorted(run.rglob("*"))
    assert main(tiny) == 1
    assert str(run / ".lock") in sentence(capsys)
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize("name", ["config.toml", "trajectory.parquet", "note.md", "pipe"])
def test_a_page_replaces_no_other_file(tmp_path, capsys, name):
    """One slip with -o would lose a run's table, or the note."""
    run = open_or_create(tmp_path / "run", TINY)[0].path
    target = run / name
    if name == "pipe":
        os.mkfifo(target)
    elif name != "config.toml":
        target.write_text("of use")
    before = None if name == "pipe" else target.read_bytes()
    note = ["--note", str(target)] if name == "note.md" else []
    assert main(["report", str(run), "-o", str(target), *note]) == 2
    assert "-o" in sentence(capsys)
    assert before is None or target.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_standard_output(monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["info"]) == 1
        print("what is left in the buffer goes nowhere when the program ends")
    assert capsys.readouterr().err == "conceptspace: No space left on device\n"


def test_a_standard_output_that_was_closed_before_the_start(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["info"]) == 0


def test_names_that_are_no_text_are_shown_all_the_same(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "odd\udcffname"
    open_or_create(folder, TINY)
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "argv", ["conceptspace", "info", os.fsdecode(os.fsencode(folder))])
    assert main() == 0
    assert "odd\\xffname" in shown.buffer.getvalue().decode()
    assert capsys.readouterr().err == ""


def test_a_second_ctrl_c_ends_at_once_without_a_traceback(tmp_path, probe_cache_folder):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_config(train__steps=10**6).to_toml())
    process = subprocess.Popen(
        [*PROGRAM, "run", "--config", str(path), "--out", str(tmp_path / "r")],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("step "):
            break
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    error = process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in error
    assert re.search(r"stopped at", error)


def test_two_runs_that_begin_at_once_do_not_mix(tmp_path, probe_cache_folder):
    """Different seeds in one new folder: one is trained, the others are refused."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.to_toml())
    folder = tmp_path / "r"
    begun = [
        subprocess.Popen(
            [*PAGELESS, "run", "--config", str(path), "--out", str(folder), "--seed", str(seed)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for seed in range(2)
    ]
    said = [process.communicate()[1] for process in begun]
    ended = [process.returncode for process in begun]
    assert sorted(ended) == [0, 2], said
    winner = ended.index(0)
    run = Run(folder)
    assert run.config.seed == winner
    assert set(run.trajectory()["seed"]) == {winner}
    for seed, error in enumerate(said):
        if seed != winner:
            assert re.search(r"another (process is working|config)|is not a run", error), error
