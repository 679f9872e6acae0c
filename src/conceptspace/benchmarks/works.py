"""What is measured, each against the plain reference in turns, so that both see the same noise."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from conceptspace.benchmarks.reference import Diffusion, training
from conceptspace.config import RunConfig
from conceptspace.engine.cuda_graph import Replayed
from conceptspace.engine.device import seconds
from conceptspace.engine.precision import LoweredModel, fastest_precision
from conceptspace.experiment import parts
from conceptspace.models.sampling import gaussian, sample
from conceptspace.models.vdm import EmbeddingVDM
from conceptspace.seeding import generator
from conceptspace.training import checkpoint
from conceptspace.training.loop import Trainer
from conceptspace.worlds.dataset import Examples, split_dataset
from conceptspace.worlds.shapes.building import shapes_world
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import VARIABLES


@dataclass(frozen=True)
class Compared:
    """One work, done by the reference and by the engine.

    Attributes:
        work: what.
        reference: seconds, median.
        engine: seconds, median.
        ratio: reference / engine, the median of the ratios of neighbouring measurements.
        gflops: the engine's GFLOP/s.
        share: of the measured peak in the engine's precision.
    """

    work: str
    reference: float
    engine: float
    ratio: float
    gflops: float
    share: float

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def training_step(
    config: RunConfig, name: str, repeats: int, peak: dict[str, float], device: torch.device
) -> Compared:
    """A gradient step with everything around it: data, noise, loss, optimizer, weight average."""
    examples = examples_of(config).to(device)
    precision = fastest_precision(device)
    reference = training(config, Diffusion(config).to(device), examples)
    model = parts.model(config, device)
    trainer = Trainer(model, examples, parts.optimization(config), config.seed, precision)
    engine = trainer.run(10**9)
    x = torch.zeros(1, 3, config.data.resolution, config.data.resolution, device="meta")
    operations = config.train.batch_size * _operations(config, x, backward=True)
    return _compare(
        f"{name}, batch {config.train.batch_size}",
        lambda: next(reference),
        lambda: next(engine),
        repeats,
        operations,
        peak[precision],
        device,
    )


def sampling(
    config: RunConfig,
    name: str,
    images: int,
    steps: int,
    repeats: int,
    peak: dict[str, float],
    device: torch.device,
) -> Compared:
    """Ancestral sampling, per image and denoising step."""
    resolution = config.data.resolution
    precision = fastest_precision(device)
    reference = Diffusion(config).to(device).eval()
    fast = LoweredModel(parts.model(config, device).eval(), precision).fast
    assert isinstance(fast, EmbeddingVDM)
    denoise = Replayed(fast.denoise, device)
    h = torch.rand(images, VARIABLES, device=device)
    noise = gaussian((images, 3, resolution, resolution), generator(0, "bench"), device)

    def engine() -> None:
        with torch.no_grad():
            conditions = fast.embed_condition(h)
        sample(
            lambda z, gamma, h: denoise(z, gamma, conditions),
            fast.schedule,
            h,
            steps=steps,
            noise=noise,
        )

    x = torch.zeros(1, 3, resolution, resolution, device="meta")
    found = _compare(
        f"{name}, {images} images",
        lambda: reference.sample(h, resolution, steps),
        engine,
        repeats,
        images * steps * _operations(config, x, backward=False),
        peak[precision],
        device,
    )
    each = images * steps
    return replace(found, reference=found.reference / each, engine=found.engine / each)


def renderer(resolution: int, images: int, repeats: int) -> float:
    """Images of the data-generating process per second, pixel noise included."""
    world = shapes_world(ShapesData(resolution=resolution))
    source = generator(0, "bench")
    z = torch.cat([world.sample(c, images // 4, source) for c in world.space.classes])
    world.render(z, source)
    cpu = torch.device("cpu")
    return len(z) / median(seconds(lambda: world.render(z, source), cpu) for _ in range(repeats))


def new_trainer(config: RunConfig, device: torch.device) -> Trainer:
    """The engine, on a few images of a config's data."""
    return Trainer(
        parts.model(config, device),
        examples_of(config).to(device),
        parts.optimization(config),
        config.seed,
        fastest_precision(device),
    )


def memory_growth(config: RunConfig, steps: int, device: torch.device) -> float:
    """MB by which the process grew over some steps, after a warm-up of as many."""
    trainer = new_trainer(config, device)
    before = 0.0
    for record in trainer.run(2 * steps):
        if record.step == steps:
            before = _resident_megabytes()
    return _resident_megabytes() - before


def checkpoint_stall(config: RunConfig, steps: int, repeats: int, device: torch.device) -> float:
    """Share of the training time that saving one checkpoint and state costs, saved every ``steps``.

    All rounds without saving come first, so that what the first save does to every later step is
    seen, too.
    """
    trainer = new_trainer(config, device)
    with tempfile.TemporaryDirectory() as folder, checkpoint.Writer() as writer:

        def round_of(save: bool) -> None:
            for _ in trainer.run(trainer.step + steps):
                pass
            if save:
                writer.save(Path(folder) / "weights", trainer.step, trainer.sampling_weights())
                writer.save(Path(folder) / "resume", trainer.step, trainer.state())

        def typical(save: bool) -> float:
            return median(seconds(lambda: round_of(save), device) for _ in range(repeats))

        round_of(False)
        plain = typical(False)
        return typical(True) / plain - 1


def startup(repeats: int) -> float:
    """Seconds until ``conceptspace --help`` has ended."""
    command = [sys.executable, "-c", "from conceptspace.cli import main; main(['--help'])"]
    return median(_process(command) for _ in range(repeats))


def first_step() -> float:
    """Seconds from the call of the library in a new process to the end of its first step."""
    code = (
        "from conceptspace import presets\n"
        "from conceptspace.experiment import parts\n"
        "from conceptspace.benchmarks.works import new_trainer\n"
        "next(new_trainer(presets.quick(), parts.device('auto')).run(1))"
    )
    return _process([sys.executable, "-c", code])


def packing(steps: int, processes: int) -> dict[str, float]:
    """Quick steps per second of the whole machine: one process with all threads, or several."""
    code = (
        "import sys, time, torch\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "from conceptspace import presets\n"
        "from conceptspace.experiment import parts\n"
        "from conceptspace.benchmarks.works import new_trainer\n"
        "trainer = new_trainer(presets.quick(), parts.device('auto'))\n"
        "for _ in trainer.run(10): pass\n"
        "started = time.perf_counter()\n"
        f"for _ in trainer.run({10 + steps}): pass\n"
        f"print({steps} / (time.perf_counter() - started))"
    )

    def together(count: int, threads: int) -> float:
        command = [sys.executable, "-c", code, str(threads)]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        return sum(float(process.communicate()[0]) for process in running)

    alone = {f"1 process, {processes} threads": together(1, processes)}
    if processes == 1:
        return alone
    return alone | {f"{processes} processes, 1 thread each": together(processes, 1)}


def _compare(
    work: str,
    reference: Callable[[], object],
    engine: Callable[[], object],
    repeats: int,
    operations: float,
    peak: float,
    device: torch.device,
) -> Compared:
    for call in (reference, engine):
        for _ in range(3):
            call()
    pairs = [(seconds(reference, device), seconds(engine, device)) for _ in range(repeats)]
    slow, fast = (median(times) for times in zip(*pairs, strict=True))
    gflops = operations / fast / 1e9
    ratio = median(r / e for r, e in pairs)
    return Compared(work, slow, fast, ratio, gflops, gflops / peak)


def _operations(config: RunConfig, x: torch.Tensor, *, backward: bool) -> float:
    """Floating point operations for one image: matrix products and convolutions."""
    network = parts.model(config).network.to("meta")
    gamma, h = torch.zeros(1, device="meta"), torch.zeros(1, VARIABLES, device="meta")
    with FlopCounterMode(display=False) as counter:
        y = network(x, gamma, h)
        if backward:
            y.sum().backward()
    return float(counter.get_total_flops())


def examples_of(config: RunConfig) -> Examples:
    """A few images of a config's data, as they are trained on."""
    examples, _ = split_dataset(
        parts.world(config.data),
        parts.conditioning(config.data),
        images_per_class=max(128, config.train.batch_size),
        validation_share=0.0,
        seed=config.seed,
    )
    return examples


def _process(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
