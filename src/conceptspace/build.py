"""From a config to the objects that it describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from conceptspace.cache import image_cache, probe_cache
from conceptspace.config import DataConfig, RunConfig
from conceptspace.errors import UserError
from conceptspace.judges.judge import Judge, ShapesJudge
from conceptspace.judges.probe import ProbeSettings
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.unet import UNet, channels_last
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.protocols.registry import Context
from conceptspace.recording.evaluate import Sampling
from conceptspace.seeding import stream_seed
from conceptspace.space import Concept, ConceptSpace, as_classes, paper_split
from conceptspace.tables import NAIVE
from conceptspace.training.loop import Optimization
from conceptspace.training.schedule import checkpoint_steps
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import Masking
from conceptspace.worlds.faces.attributes import attribute_concept
from conceptspace.worlds.faces.celeba import CelebaWorld
from conceptspace.worlds.own_data import KINDS, own_world
from conceptspace.worlds.pools import Pools
from conceptspace.worlds.shapes import world as shapes
from conceptspace.worlds.shapes.world import ShapesWorld
from conceptspace.worlds.world import World

PIXEL_RANGES = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0)}


def concept(name: str, data: DataConfig) -> Concept:
    """One of the six concepts with the config's separation and spread."""
    match name:
        case "shape":
            return shapes.shape()
        case "color":
            return shapes.color(data.color_separation, data.color_spread)
        case "size":
            return shapes.size(data.size_separation, data.size_spread)
        case "background":
            return shapes.background(data.background_separation, data.background_spread)
        case _:
            return shapes.position(name, data.position_separation, data.position_spread)


def concept_space(data: DataConfig) -> ConceptSpace:
    """The concepts and the split into training and OOD classes.

    Raises:
        UserError: classes overlap, leave their limits or have the wrong number of bits.
    """
    if data.kind in KINDS:
        return own_world(data).space
    if data.kind == "celeba":
        concepts = tuple(attribute_concept(name) for name in data.attributes)
    else:
        concepts = tuple(concept(name, data) for name in data.concepts)
    train, ood = paper_split([len(concept.labels) for concept in concepts])
    return ConceptSpace(
        concepts,
        as_classes(data.train_classes) or train,
        as_classes(data.ood_classes) if data.train_classes or data.ood_classes else ood,
    )


def world(data: DataConfig) -> World:
    """The data: shapes that are rendered, or images that are there.

    Raises:
        UserError: see :func:`shapes_world`, :func:`celeba_world` and
            :func:`conceptspace.worlds.own_data.own_world`.
    """
    if data.kind in KINDS:
        return own_world(data)
    return celeba_world(data) if data.kind == "celeba" else shapes_world(data)


def shapes_world(data: DataConfig) -> ShapesWorld:
    """The data-generating process of shapes.

    Raises:
        UserError: see :func:`concept_space`; the masked class is not trained; or the data are
            images that cannot be rendered.
    """
    if data.kind != "shapes":
        raise UserError(
            f"this needs images that can be rendered, data.kind = 'shapes'; it is {data.kind!r}"
        )
    space = concept_space(data)
    if data.masked_class and data.masked_class not in space.train_classes:
        raise UserError(
            f"data.masked_class = {data.masked_class!r} is not a training class; "
            f"they are {', '.join(space.train_classes)}"
        )
    if data.masked_share > 0 and not data.masked_class:
        raise UserError("data.masked_share needs data.masked_class, e.g. 01")
    return ShapesWorld(
        space, data.resolution, data.position_range, data.edge_blur, data.pixel_noise
    )


def celeba_world(data: DataConfig) -> CelebaWorld:
    """The images of a CelebA folder; they are read when they are first needed.

    Raises:
        UserError: no folder is named, or a setting is for shapes only.
    """
    if not data.root:
        raise UserError(
            "data.kind = 'celeba' needs data.root, the folder that holds img_align_celeba and "
            "list_attr_celeba.txt"
        )
    if data.masked_class or data.masked_share or data.conditioned:
        raise UserError(
            "data.masked_class, data.masked_share and data.conditioned are settings of shapes; "
            "with data.kind = 'celeba' every prompt shows all attributes"
        )
    return CelebaWorld(
        concept_space(data),
        data.resolution,
        Path(data.root),
        data.images_per_class,
        data.jitter,
        data.flips,
        image_cache(),
    )


def conditioning(data: DataConfig) -> Conditioning:
    """M: which variables the model is shown."""
    if data.kind != "shapes":
        columns = world(data).columns
        return Conditioning(tuple(columns), columns)
    return Conditioning(data.conditioned or data.concepts)


def judge(of: World) -> Judge | None:
    """What scores images; None where they cannot be rendered or a concept has more than two values,
    and the probe scores them alone.
    """
    if not isinstance(of, ShapesWorld) or max(of.space.sizes) > 2:
        return None
    return ShapesJudge(of)


def masking(data: DataConfig) -> Masking | None:
    """The underspecification of the training prompts, if there is any.

    Raises:
        UserError: the masked concept is not shown to the model anyway.
    """
    if not data.masked_class or data.masked_share == 0:
        return None
    shown = conditioning(data).variables
    if data.masked_concept not in shown:
        raise UserError(
            f"data.masked_concept = {data.masked_concept!r} is not among the variables that the "
            f"model is conditioned on, so masking it changes nothing; they are {', '.join(shown)}"
        )
    return Masking(data.masked_class, data.masked_concept, data.masked_share)


def model(config: RunConfig, device: torch.device | None = None) -> VDM:
    """An untrained model; its weights depend on the seed alone.

    Raises:
        UserError: the architecture does not fit together.
    """
    m = config.model
    _check_channels("model.channels", m.channels, config.data.resolution)
    for width in m.channels:
        if width % m.groups or width % m.heads:
            raise UserError(
                f"model.channels = {list(m.channels)} must be multiples of model.groups = "
                f"{m.groups} and of model.heads = {m.heads}"
            )
    prompt = conditioning(config.data).visible()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "weights"))
        network = UNet(
            len(prompt),
            channels=m.channels,
            blocks=m.blocks,
            heads=m.heads,
            dropout=m.dropout,
            norm=m.norm,
            groups=m.groups,
            time_size=m.time_size,
            embedding_size=m.embedding_size,
            gamma_range=(m.gamma_start, m.gamma_end),
        )
        schedule = LinearSchedule(
            m.gamma_start, m.gamma_end, learned=m.schedule == "learned_linear"
        )
    built = VDM(network, schedule, PIXEL_RANGES[m.pixel_range])
    return channels_last(built, device)


def outline(config: RunConfig) -> VDM:
    """A model to count and check: a large one, of more than some 10⁸ weights, is made without them.

    Raises:
        UserError: the architecture does not fit together.
    """
    convolutions = 18 * config.model.blocks * sum(width**2 for width in config.model.channels)
    if convolutions < 10**8:
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


def probe(config: RunConfig) -> ProbeSettings:
    """Architecture and training of the probe."""
    _check_channels("probe.channels", config.probe.channels, config.data.resolution)
    return ProbeSettings(**config.probe.model_dump(exclude={"agreement"}))


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
            settings' names, an untrained one does.

    Raises:
        UserError: see :func:`world`.
    """
    untrained = load or (lambda step: outline(config))
    return Context(config, world(config.data), conditioning(config.data), untrained)


def validate(config: RunConfig) -> None:
    """Build everything that is cheap, so that a bad config fails before any work.

    Raises:
        UserError: the config describes something impossible, or the cache cannot be written.
    """
    probe_cache()
    images = world(config.data)
    masking(config.data)
    probe(config)
    if isinstance(images, CelebaWorld):
        images.check()
    if isinstance(images, Pools):
        _check_pools(config)
    asked = context(config)
    for name in config.evaluate.protocols:
        registry.make(name, asked)
    outline(config)
    checkpoints(config)


def _check_pools(config: RunConfig) -> None:
    """The probe takes its images from those of the data, if they are not rendered."""
    pool, settings = config.data.images_per_class, config.probe
    if settings.images_per_class + settings.held_out_per_class > pool:
        raise UserError(
            f"probe.images_per_class and probe.held_out_per_class take "
            f"{settings.images_per_class} + {settings.held_out_per_class} of the "
            f"{pool} images (data.images_per_class) of each class"
        )


def device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        UserError: CUDA was asked for and is not there.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("--device cuda was asked for, but PyTorch finds no CUDA device here")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def _check_channels(name: str, channels: tuple[int, ...], resolution: int) -> None:
    if not channels or min(channels) < 8 or any(width % 8 for width in channels):
        raise UserError(f"{name} = {list(channels)} must be positive multiples of 8")
    factor = 2 ** (len(channels) - 1)
    if resolution % factor:
        raise UserError(
            f"data.resolution = {resolution} must be a multiple of {factor}, because {name} has "
            f"{len(channels)} levels"
        )
