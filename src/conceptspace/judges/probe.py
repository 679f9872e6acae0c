"""The probe: a classifier that reads each concept of an image on its own (paper App. A.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from filelock import FileLock, Timeout
from jaxtyping import Float
from torch import Tensor, nn

from conceptspace.cache import probe_cache
from conceptspace.config import ProbeConfig
from conceptspace.engine.replacing import fuse
from conceptspace.files import make_folders, read_record, sha256, write_record
from conceptspace.models.modes import evaluating, float32_default
from conceptspace.models.unet import UNetTrunk
from conceptspace.presets import quick
from conceptspace.seeding import generator
from conceptspace.space import Concept
from conceptspace.training import checkpoint
from conceptspace.worlds import border
from conceptspace.worlds.pools import Pools
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.world import World

CALIBRATION_BINS = 15

LOOK = 0.2
"""Seconds between looks whether another process has trained the probe."""


class ProbeStopped(Exception):
    """The user asked to stop while a probe was trained; nothing of it is kept."""


@dataclass(frozen=True)
class ProbeSettings:
    """Architecture and training of a probe.

    Args:
        channels: width of each level of the U-Net backbone.
        features: output channels of the backbone.
        pooling: over all pixels.
        images_per_class: training images.
        held_out_per_class: images for the report.
        steps: gradient steps of AdamW.
        batch_size: images per step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        margin: gap kept between the classes, as a share of their full range.
        architecture: of the backbone: a U-Net, or a plain stack of convolutions without skips,
            three for each entry of ``channels``, and a stride between two entries.
        seed: of the initial weights and of the order of the images.
    """

    channels: tuple[int, ...] = (64, 128)
    features: int = 64
    pooling: Literal["max", "average"] = "max"
    images_per_class: int = 4096
    held_out_per_class: int = 512
    steps: int = 10_000
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    margin: float = 0.1
    architecture: Literal["unet", "plain"] = "unet"
    seed: int = 0

    def recipe(self) -> dict[str, Any]:
        """What determines a probe, as JSON; later settings are in it where they are not usual."""
        added = {"architecture": "unet", "seed": 0}
        return {k: v for k, v in asdict(self).items() if k not in added or v != added[k]}

    @classmethod
    def of(cls, config: ProbeConfig) -> ProbeSettings:
        """The settings of a run's config."""
        return cls(**config.model_dump(exclude={"agreement"}))


class Probe(nn.Module):
    """A backbone, global pooling, and for each concept a two-layer MLP with a softmax.

    Args:
        concepts: names of the concepts, in the order of the outputs.
        settings: architecture.
        sizes: how many values each concept has; by default two.
    """

    def __init__(
        self, concepts: Sequence[str], settings: ProbeSettings, sizes: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.concepts = tuple(concepts)
        self.sizes = tuple(sizes) or (2,) * len(self.concepts)
        self.pooling = settings.pooling
        self.backbone = _unet(settings) if settings.architecture == "unet" else _plain(settings)
        width = settings.features
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, size))
            for size in self.sizes
        )

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch concepts values"]:
        """Logits of the values of every concept, for images in [0, 1].

        A concept with fewer values than another has -inf in their places, a probability of 0.

        Raises:
            TypeError: images of whole numbers, such as bytes.
            RuntimeError: images of another number of channels than 3.
        """
        features = self.features(images)
        pooled = features.amax((2, 3)) if self.pooling == "max" else features.mean((2, 3))
        most = max(self.sizes)
        parts = [
            logits if size == most else F.pad(logits, (0, most - size), value=-torch.inf)
            for size, logits in zip(self.sizes, (head(pooled) for head in self.heads), strict=True)
        ]
        return torch.stack(parts, dim=1)

    def features(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """What the backbone finds, before it is pooled; for images in [0, 1].

        Raises:
            TypeError, RuntimeError: see :meth:`forward`.
        """
        if not images.is_floating_point():
            raise TypeError(
                f"a probe reads images of floating-point numbers in [0, 1], not {images.dtype}; "
                "divide bytes by 255"
            )
        if not isinstance(self.backbone, UNetTrunk):
            found: Tensor = self.backbone(images * 2 - 1)
            return found
        return self.backbone(images * 2 - 1, [None] * len(self.backbone.block_widths()))

    @torch.no_grad()
    def probabilities(
        self, images: Float[Tensor, "batch 3 height width"], batch_size: int = 512
    ) -> Float[Tensor, "batch concepts values"]:
        """Softmax probability of each value of every concept.

        Raises:
            TypeError, RuntimeError: see :meth:`forward`.
        """
        with evaluating(self):
            found = torch.cat([self(chunk).softmax(2) for chunk in images.split(batch_size)])
        two = torch.tensor(self.sizes, device=found.device) == 2
        found[:, two, 0] = 1 - found[:, two, 1]  # one number is enough for two values
        return found

    def coordinates(
        self, images: Float[Tensor, "batch 3 height width"], batch_size: int = 512
    ) -> Float[Tensor, "batch concepts"]:
        """Probability of value 1 of every concept: of two values, the image's place between them.

        Raises:
            TypeError, RuntimeError: see :meth:`forward`.
        """
        return self.probabilities(images, batch_size)[..., 1]


def _unet(settings: ProbeSettings) -> nn.Module:
    return UNetTrunk(
        3,
        settings.features,
        channels=settings.channels,
        blocks=1,
        heads=1,
        dropout=0.0,
        norm="group",
        groups=8,
    )


def _plain(settings: ProbeSettings) -> nn.Module:
    """Convolutions with group norm, one after the other; each level but the first halves the
    resolution.
    """
    layers: list[nn.Module] = []
    entering = 3
    for level, width in enumerate(settings.channels):
        for stride in (1 + (level > 0), 1, 1):
            layers.append(nn.Conv2d(entering, width, 3, stride, padding=1))
            layers += [nn.GroupNorm(8, width), nn.GELU()]
            entering = width
    return nn.Sequential(*layers, nn.Conv2d(entering, settings.features, 1))


@dataclass(frozen=True)
class TrainedProbe:
    """A probe with what identifies and qualifies it.

    Attributes:
        probe: the classifier.
        hash: SHA-256 of its weights, recorded in every result.
        report: see :func:`assess`, and ``between``, see :func:`between`.
        concepts: with the values, in the order in which it says them; empty if that is not known.
    """

    probe: Probe
    hash: str
    report: dict[str, Any]
    concepts: tuple[Concept, ...] = ()


@float32_default()
def fit(
    world: World,
    settings: ProbeSettings,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
) -> Probe:
    """Train on the labelled images of a world, with cross-entropy per concept.

    The same arguments give the same probe on the same device; it does not depend on a run's seed,
    nor on the type that new tensors have in this process.

    Args:
        world: whose concepts and images the probe is for.
        settings: architecture and training.
        device: where to train.
        stop: asked before every step.

    Raises:
        ProbeStopped: ``stop`` said so.
        UserError: a class has too few images to hold some out.
    """
    _require_apart(world, settings)
    images, values = border.labelled(world, "train", settings.images_per_class, settings.margin)
    images, values = images.to(device), values.to(device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        probe = fuse(Probe(world.space.names, settings, world.space.sizes), device)
    optimizer = torch.optim.AdamW(
        probe.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    source = generator(settings.seed, "probe", "order")
    for _ in range(settings.steps):
        if stop():
            raise ProbeStopped
        chosen = torch.randint(len(images), (settings.batch_size,), generator=source).to(device)
        loss = F.cross_entropy(probe(images[chosen]).flatten(0, 1), values[chosen].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval()


@float32_default()
def assess(
    probe: Probe, world: World, settings: ProbeSettings, device: torch.device
) -> dict[str, Any]:
    """How good a probe is, on images that it has not seen.

    Returns:
        ``accuracy`` (share right) and ``calibration_error`` (expected calibration error, 15
        bins), each per concept.
    """
    held_out = settings.held_out_per_class
    images, values = border.labelled(world, "held out", held_out, settings.margin)
    confidences, found = probe.probabilities(images.to(device)).cpu().max(2)
    right = (found == values).float()
    report: dict[str, Any] = {"accuracy": {}, "calibration_error": {}}
    for i, concept in enumerate(world.space.concepts):
        report["accuracy"][concept.name] = right[:, i].mean().item()
        error = calibration_error(confidences[:, i], right[:, i])
        report["calibration_error"][concept.name] = error
    return report


@float32_default()
def between(
    probe: Probe, world: World, device: torch.device, kept: Path | None = None
) -> dict[str, list[float]]:
    """Mean probability of value 1 on the way from mean 0 to mean 1, 11 points for each concept.

    The means are those of the world's own classes, so it belongs to a run and not to its probe.
    Empty where nothing can be rendered in between.

    Args:
        probe: reads the images.
        world: renders them.
        device: of the probe.
        kept: where the curves of this probe are kept, one file for every world; the stem of the
            files' names.
    """
    if not isinstance(world, RenderedWorld):
        return {}
    ways = {concept.name: _way(world, concept) for concept in world.space.concepts}
    file = kept and kept.with_name(f"{kept.name}-{_hash(ways)}.json")
    with suppress(OSError, ValueError):
        if file:
            return read_record(file)
    curves = {
        name: [probe.coordinates(world.render(z).to(device))[:, i].mean().item() for z in way]
        for i, (name, way) in enumerate(ways.items())
    }
    with suppress(OSError):  # a cache that is full or read-only costs half a second each time
        if file:
            write_record(file, curves)
    return curves


def _way(world: RenderedWorld, concept: Concept) -> list[Tensor]:
    z = world.sample("0" * len(world.space.concepts), 64, generator(0, "probe", "between"))
    points = []
    for position in torch.linspace(0, 1, 11):
        z[:, world.columns[concept.name]] = torch.lerp(concept.mean(0), concept.mean(1), position)
        points.append(z.clone())
    return points


def _hash(ways: Mapping[str, list[Tensor]]) -> str:
    return sha256(b"".join(torch.stack(way).numpy().tobytes() for way in ways.values()))[:24]


def calibration_error(confidence: Float[Tensor, " count"], right: Float[Tensor, " count"]) -> float:
    """Expected calibration error: |confidence - accuracy| averaged over equal-width bins."""
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    total = confidence.new_zeros(CALIBRATION_BINS).index_add_(0, bins, confidence - right)
    return (total.abs().sum() / len(right)).item()


def train_probe(
    world: World,
    settings: ProbeSettings | None = None,
    *,
    device: str | torch.device = "cpu",
    cache: str | Path | None = None,
) -> TrainedProbe:
    """A judge for any world: the probe trained on its images, from the cache if it is there.

    Args:
        world: whose labelled images it learns.
        settings: by default those of the quick preset, which take seconds.
        device: that computes.
        cache: folder of trained probes; by default the user's, which ``conceptspace info`` names.

    Raises:
        UserError: the cache cannot be written, or the world gives something else than images, or
            too few to hold some out.
    """
    folder = probe_cache() if cache is None else Path(cache)
    chosen = settings or ProbeSettings.of(quick().probe)
    return load_or_train(world, chosen, torch.device(device), folder)


@float32_default()
def load_or_train(
    world: World,
    settings: ProbeSettings,
    device: torch.device,
    cache: Path,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedProbe:
    """The probe for these images, from the cache if it is there, else trained and put there.

    Its place in the cache is a hash of everything that determines it: images and probe settings.
    A damaged entry is trained anew. Of several processes that want the same probe, one trains it
    and the others wait. Of the report only what these determine is cached; ``between`` depends on
    the world's separations besides, and is kept for each of them.

    Raises:
        ProbeStopped: ``stop`` said so; the cache is as it was.
        UserError: a class has too few images to hold some out.
    """
    _require_apart(world, settings)
    recipe, folder = _place(world, settings, cache)
    with torch.random.fork_rng(devices=[]):
        probe = fuse(Probe(world.space.names, settings, world.space.sizes), device)
    try:
        probe.load_state_dict(checkpoint.load(folder, settings.steps, device))
    except checkpoint.DamagedCheckpoint:
        with _in_turn(folder, stop):
            try:
                probe.load_state_dict(checkpoint.load(folder, settings.steps, device))
            except checkpoint.DamagedCheckpoint:
                probe = fit(world, settings, device, stop)
                report = assess(probe, world, settings, device)
                state = probe.state_dict()
                checkpoint.save(folder, settings.steps, state, recipe=recipe, report=report)
    stored = checkpoint.information(folder, settings.steps)
    kept = folder / f"between-{stored['sha256'][:16]}"
    report = stored["report"] | {"between": between(probe, world, device, kept)}
    return TrainedProbe(probe.eval(), stored["sha256"], report, tuple(world.space.concepts))


def _require_apart(world: World, settings: ProbeSettings) -> None:
    """Images that are there are divided among training and report; others are rendered for each."""
    if isinstance(world, Pools):
        world.require_apart(settings.images_per_class, settings.held_out_per_class)


def untrained(world: World, settings: ProbeSettings, cache: Path) -> Path | None:
    """Where the probe for these images will be in the cache; None if it is there."""
    folder = _place(world, settings, cache)[1]
    return None if settings.steps in checkpoint.saved_steps(folder) else folder


def _place(world: World, settings: ProbeSettings, cache: Path) -> tuple[dict[str, Any], Path]:
    """What determines a probe, and its folder in the cache."""
    recipe = world.recipe(settings.margin) | {"settings": settings.recipe()}
    return recipe, cache / sha256(json.dumps(recipe, sort_keys=True).encode())[:24]


@contextmanager
def _in_turn(folder: Path, stop: Callable[[], bool]) -> Iterator[None]:
    """Keep other processes from training the probe of a folder.

    Raises:
        ProbeStopped: ``stop`` said so while another process trained it.
    """
    make_folders(folder.parent)
    lock = FileLock(folder.with_suffix(".lock"))
    while True:
        try:
            lock.acquire(timeout=LOOK)
            break
        except Timeout:
            if stop():
                raise ProbeStopped from None
    try:
        yield
    finally:
        lock.release()
