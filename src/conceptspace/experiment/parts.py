"""The parts of an experiment: from a config to the objects that it describes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from conceptspace.cache import probe_cache
from conceptspace.config import RunConfig, merged
from conceptspace.engine.device import device as device
from conceptspace.engine.replacing import fuse
from conceptspace.errors import UserError
from conceptspace.judges.agreement import second_opinion
from conceptspace.judges.probe import ProbeSettings
from conceptspace.models.config import check_channels
from conceptspace.models.denoiser import EmbeddingDenoiser
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.vdm import VDM
from conceptspace.presets import STARTS
from conceptspace.protocols import registry
from conceptspace.protocols.base import Fitting
from conceptspace.protocols.registry import Context
from conceptspace.recording.evaluate import Sampling
from conceptspace.seeding import random_numbers_kept, stream_seed
from conceptspace.tables import NAIVE
from conceptspace.training.checkpoint_schedule import checkpoint_steps
from conceptspace.training.loop import Optimization
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.config import DataConfig
from conceptspace.worlds.dataset import Masking
from conceptspace.worlds.pools import require_enough
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.world import World

WORLD_MEMBERS = (
    *("space", "columns", "resolution", "augmentation"),
    *("sample", "class_mean", "draw", "picture", "labelled", "recipe"),
)
"""A world as an experiment needs it, see :class:`World`."""

PIXEL_RANGES = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0)}


def world(data: DataConfig) -> World:
    """The data: shapes that are rendered, images that are there, or a world of one's own.

    Raises:
        UserError: the settings describe something impossible, or what they build is no world.
    """
    built = data.world()
    lacking = [name for name in WORLD_MEMBERS if not hasattr(built, name)]
    if lacking:
        raise UserError(
            f"data.kind = {data.kind!r} builds {type(built).__name__}, which is no world: it lacks "
            f"{', '.join(lacking)} of conceptspace.worlds.world.World"
        )
    found: World = built
    return found


def rendered(data: DataConfig) -> RenderedWorld:
    """A world that draws any concept vector.

    Raises:
        UserError: see :func:`world`; or it does not.
    """
    built = world(data)
    if not isinstance(built, RenderedWorld):
        raise UserError(
            "this needs images that can be rendered, e.g. data.kind = 'shapes', or a world that "
            f"derives from conceptspace.RenderedWorld; data.kind is {data.kind!r}"
        )
    return built


def conditioning(data: DataConfig) -> Conditioning:
    """M: which variables the model is shown."""
    columns = world(data).columns
    return Conditioning(data.variables() or tuple(columns), columns)


def source(config: RunConfig) -> str:
    """Where images come from: the setting that names a file or folder, or else the kind."""
    for name in ("path", "root"):
        if found := getattr(config.data, name, ""):
            return f"data.{name} = {found}"
    return f"data.kind = {config.data.kind}"


def masking(data: DataConfig) -> Masking | None:
    """The underspecification of the training prompts, if there is any."""
    masked = data.masked()
    return Masking(*masked) if masked else None


def model(config: RunConfig, device: torch.device | None = None) -> VDM:
    """An untrained model; its weights depend on the seed alone.

    Raises:
        UserError: the architecture does not fit together, or is no network.
    """
    m = config.model
    prompt = conditioning(config.data).visible()
    with random_numbers_kept():
        torch.manual_seed(stream_seed(config.seed, "weights"))
        network = m.network(len(prompt), config.data.resolution)
        schedule = LinearSchedule(
            m.gamma_start, m.gamma_end, learned=m.schedule == "learned_linear"
        )
    if not isinstance(network, torch.nn.Module):
        raise UserError(
            f"model.kind = {m.kind!r} builds {type(network).__name__}, and a network is a "
            "torch.nn.Module"
        )
    if m.embeds != isinstance(network, EmbeddingDenoiser):
        raise UserError(
            f"model.kind = {m.kind!r} says embeds = {m.embeds}, and its network is "
            f"{'an' if not m.embeds else 'no'} conceptspace.EmbeddingDenoiser"
        )
    built = VDM(network, schedule, PIXEL_RANGES[m.pixel_range])
    return fuse(built, device) if built.accelerated else built.to(device)


def outline(config: RunConfig) -> VDM:
    """A model to count and check: a large one, of more than some 10⁸ weights, is made without them.

    Raises:
        UserError: the architecture does not fit together.
    """
    if config.model.weights() < 10**8:
        return model(config)  # quicker than PyTorch's first tensor without memory, which takes 1 s
    with torch.device("meta"):
        return model(config)


def optimization(config: RunConfig) -> Optimization:
    """How the model is trained."""
    train = config.train
    return Optimization(
        batch_size=train.batch_size,
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        betas=(train.beta1, train.beta2),
        clip_norm=train.clip_norm,
        weight_average=train.weight_average,
        condition_dropout=train.condition_dropout,
    )


def checkpoints(config: RunConfig) -> list[int]:
    """The steps at which checkpoints are saved."""
    train = config.train
    if train.checkpoint_schedule == "explicit":
        return list(train.checkpoint_steps)
    return checkpoint_steps(
        train.checkpoint_schedule, train.first_checkpoint, train.steps, train.checkpoints
    )


def planned(config: RunConfig, step: int | None) -> int:
    """A step whose checkpoint a protocol asks for, the last one for None.

    Raises:
        UserError: no checkpoint is planned there; names those that are.
    """
    steps = checkpoints(config)
    if step is not None and step not in steps:
        nearest = sorted(sorted(steps, key=lambda other: abs(other - step))[:6])
        raise UserError(
            f"a protocol needs the checkpoint of step {step}, and none is planned there; planned "
            f"are, nearest to it, those of steps {', '.join(map(str, nearest))}"
        )
    return steps[-1] if step is None else step


def probe(config: RunConfig) -> ProbeSettings:
    """Architecture and training of the probe."""
    check_channels("probe.channels", config.probe.channels, config.data.resolution)
    return ProbeSettings.of(config.probe)


def probes(config: RunConfig) -> list[ProbeSettings]:
    """The probes that a run trains: one that scores, and a second one where both have to agree."""
    first = probe(config)
    return [first, second_opinion(first)] if config.probe.agreement else [first]


def sampling(config: RunConfig, protocol_name: str) -> Sampling:
    """How images are generated under a protocol."""
    evaluate = config.evaluate
    samples = evaluate.samples if protocol_name == NAIVE else evaluate.elicitation_samples
    return Sampling(samples, evaluate.sampling_steps, evaluate.sampler, evaluate.batch_size)


def context(config: RunConfig, load: Callable[[int | None], VDM] | None = None) -> Context:
    """What the protocols of a run are made from.

    Args:
        config: of the run.
        load: the model at a saved step, the last one for None; where nothing is asked but the
            settings' names, an untrained one for every planned step does.

    Raises:
        UserError: see :func:`world`.
    """

    def untrained(step: int | None) -> VDM:
        planned(config, step)
        return outline(config)

    return Context(config, world(config.data), conditioning(config.data), load or untrained)


def fitted(config: RunConfig) -> RunConfig:
    """A preset's ways of asking for the world that the config describes.

    Of the preset's protocols, one of a concept that the world lacks, such as
    ``overprompting-size``, becomes those of its family, one for each of the world's concepts. A
    config with protocols of its own stays as it is.

    Raises:
        UserError: see :func:`world`.
    """
    asked = config.evaluate.protocols
    by_name = {name: registry.family_of(name) for name in asked}
    of_concepts = {name for name, of in by_name.items() if of is not None and of.name != name}
    start = STARTS.get(config.preset)
    if not of_concepts or start is None or asked != start().evaluate.protocols:
        return config
    run = context(config)
    found: list[str] = []
    for name, of in by_name.items():
        there = of.names(run) if of is not None else ()
        found += there if name in of_concepts and name not in there else [name]
    if tuple(found) == asked:
        return config
    fit = {"evaluate": {"protocols": list(dict.fromkeys(found))}}
    return merged(config, fit, config.preset)


def validate(config: RunConfig) -> None:
    """Build everything that is cheap, so that a bad config fails before any work.

    Raises:
        UserError: the config describes something impossible, or the cache cannot be written.
    """
    probe_cache()
    data = config.data
    world(data)
    data.check()
    probe(config)
    if data.pooled:
        _check_pools(config)
    asked, untrained = context(config), outline(config)
    for name in config.evaluate.protocols:
        made = registry.make(name, asked)
        if isinstance(made, Fitting):
            made.fit(untrained)
    checkpoints(config)


def _check_pools(config: RunConfig) -> None:
    """The probe takes its images from those of the data, if they are not rendered."""
    train, held_out = config.probe.images_per_class, config.probe.held_out_per_class
    what = "images (data.images_per_class) of each class"
    require_enough(train, held_out, config.data.images_per_class, what)
