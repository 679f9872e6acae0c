"""Loops of a real Accelerator are recorded: averages, unwrapped models, the main process alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from foreign import SIZE, SPACE, Painter, judge, one_hot, patches

from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.recording.accelerate import AccelerateRecorder
from conceptspace.recording.recorder import Recorder
from conceptspace.store import Run
from later import Later

accelerate = Later("accelerate", "the extra conceptspace[accelerate] is not installed")


def loop(
    folder: Path, steps: int, *, average=None, accumulate: int = 1, first: Painter | None = None
):
    """Train with an Accelerator and record the even steps; returns the painter that was asked."""
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    painter = Painter()
    network, optimizer = accelerator.prepare(
        painter, torch.optim.Adam(painter.parameters(), lr=0.02)
    )
    ema = average(painter) if average else None
    recorder = Recorder(folder, SPACE, judge, samples=2, steps=range(2, 100, 2))
    step = batch = 0
    with AccelerateRecorder(recorder, accelerator, lambda inner: inner, average=ema) as record:
        while step < steps:
            name = SPACE.train_classes[batch % 3]
            batch += 1
            with accelerator.accumulate(network):
                drawn = torch.cat([one_hot(name).expand(4, -1), 0.1 * torch.randn(4, 8)], dim=1)
                made = network.layers(drawn).view(-1, 3, SIZE, SIZE)
                loss = (made - patches(name, 4)).square().mean()
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                step += 1
                if ema is not None:
                    ema.step(painter.parameters())
                record(step, network, loss=loss)
    return painter


def test_planned_steps_are_recorded_reported_and_not_repeated(tmp_path):
    painter = loop(tmp_path / "run", 5)
    assert painter.calls == 2 * len(SPACE.classes)
    assert painter.training
    run = Run(tmp_path / "run")
    assert sorted(run.trajectory()["step"].unique()) == [2, 4]
    assert run.training()["step"].tolist() == [2, 4]
    assert main(["report", str(run.path)]) == 0
    assert (run.path / "report.html").stat().st_size > 10_000
    assert loop(tmp_path / "run", 7).calls == len(SPACE.classes)
    assert sorted(run.trajectory()["step"].unique()) == [2, 4, 6]


def test_accumulated_batches_are_one_step(tmp_path):
    assert loop(tmp_path / "run", 4, accumulate=3).calls == 2 * len(SPACE.classes)
    assert sorted(Run(tmp_path / "run").trajectory()["step"].unique()) == [2, 4]


def test_the_average_is_asked_and_the_weights_are_put_back(tmp_path):
    training_utils = pytest.importorskip("diffusers.training_utils")

    def still(painter):
        return training_utils.EMAModel(painter.parameters(), decay=1.0, min_decay=1.0)

    averaged = loop(tmp_path / "averaged", 6, average=still)
    table = Run(tmp_path / "averaged").trajectory()
    same = table.groupby(["concept_class", "concept"])["accuracy"].nunique()
    assert (same == 1).all()  # an average that stands still is asked the same at every step
    plain = loop(tmp_path / "plain", 6)
    pairs = zip(averaged.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


def test_sharded_models_are_refused(tmp_path):
    class Sharded:
        distributed_type = "FSDP"

    with pytest.raises(UserError, match="with FSDP no process needs to have a whole model"):
        AccelerateRecorder(Recorder(tmp_path, SPACE, judge), Sharded(), lambda inner: inner)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from accelerate import Accelerator
from foreign import SPACE, Painter, judge, one_hot, patches
from conceptspace.recording.accelerate import AccelerateRecorder
from conceptspace.recording.recorder import Recorder

accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2
network, optimizer = Painter(), None
network, optimizer = accelerator.prepare(network, torch.optim.SGD(network.parameters(), lr=0.1))
recorder = Recorder(sys.argv[2], SPACE, judge, samples=2, steps=(1, 3))
asked = []
def model(inner):
    asked.append(type(inner).__name__)
    return inner
with AccelerateRecorder(recorder, accelerator, model) as record:
    for step in range(1, 5):
        loss = sum(p.square().sum() for p in network.parameters())
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        record(step, network, loss=torch.tensor(float(accelerator.process_index)))
assert asked == (["Painter"] * 2 if accelerator.is_main_process else []), asked
accelerator.wait_for_everyone()
accelerator.end_training()  # threads of a process group that is left open abort some exits
"""


def test_of_two_processes_the_main_one_asks_the_unwrapped_model(tmp_path):
    """Started as torchrun does, which would import torch a third time."""
    assert accelerate.Accelerator
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    here = str(Path(__file__).parent)
    begun = [
        subprocess.Popen(
            [sys.executable, str(program), here, str(tmp_path / "run")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=300)[1] for process in begun]
    assert [process.returncode for process in begun] == [0, 0], said
    run = Run(tmp_path / "run")
    assert sorted(run.trajectory()["step"].unique()) == [1, 3]
    assert run.training()["loss"].tolist() == [0.5, 0.5]  # the mean of both processes
