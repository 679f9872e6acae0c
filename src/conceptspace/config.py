"""The complete description of a run, typed and strict; every field is a command-line flag.

A config is read from TOML, changed by dotted overrides and saved with its run. Unknown keys, wrong
types and impossible values are refused with one sentence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)

from conceptspace.errors import UserError
from conceptspace.files import sha256

ConceptName = Literal["shape", "x", "y", "color", "size", "background"]

CELEBA_FIELDS = ("kind", "root", "attributes", "jitter", "flips")
"""Settings of images with attributes; a shapes config is stored and hashed without them."""


class Section(BaseModel):
    """A frozen group of settings without unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class DataConfig(Section):
    """The concept space and the images (paper section 3.1, App. A.1 and C.3)."""

    kind: Literal["shapes", "celeba"] = "shapes"
    """Rendered shapes, or images of a CelebA folder."""
    root: str = ""
    """CelebA: the folder that holds img_align_celeba and list_attr_celeba.txt."""
    attributes: tuple[str, ...] = ("Not_Male", "Smiling")
    """CelebA: the concepts; Not_ before an attribute's name swaps its two values."""
    jitter: float = Field(0.1, ge=0, lt=1)
    """CelebA: brightness, contrast and saturation of training images vary by up to this share."""
    flips: float = Field(0.5, ge=0, le=1)
    """CelebA: share of training images that are mirrored."""
    concepts: tuple[ConceptName, ...] = ("color", "size")
    """The concepts that vary, in the order of the bits of a class."""
    train_classes: tuple[str, ...] = ()
    """Classes to train on; empty: the paper's split, at most one concept away from 0...0."""
    ood_classes: tuple[str, ...] = ()
    """Classes held out; empty: the paper's split."""
    resolution: int = Field(32, ge=4, le=512)
    """Pixels per side."""
    color_separation: float = Field(0.4, gt=0)
    """Distance of the red from the blue class mean, per channel."""
    color_spread: float = Field(1 / 8, ge=0)
    """Half width of each colour class, as a share of the separation."""
    size_separation: float = Field(0.4, gt=0)
    """Distance of the large from the small class mean, in half image widths."""
    size_spread: float = Field(3 / 8, ge=0)
    """Half width of each size class, as a share of the separation."""
    background_separation: float = Field(0.4, gt=0)
    """Distance of the bright from the dark background, where it is a concept."""
    background_spread: float = Field(1 / 8, ge=0)
    """Half width of each background class, as a share of the separation."""
    position_separation: float = Field(0.5, gt=0)
    """Distance of left from right, top from bottom, where position is a concept."""
    position_spread: float = Field(1 / 8, ge=0)
    """Half width of each position class, as a share of the separation."""
    position_range: float = Field(0.5, ge=0, le=1)
    """Largest distance of the object from the centre along x and y."""
    edge_blur: float = Field(1.0, ge=0)
    """Gaussian softening of the object's edge, in 1/32 of the image width."""
    pixel_noise: float = Field(0.001, ge=0)
    """Standard deviation of the noise on each pixel."""
    images_per_class: int = Field(2048, ge=2)
    """Images drawn for each training class, training and validation together."""
    validation_share: float = Field(0.15, ge=0, lt=1)
    """Share of these images that is kept from training."""
    conditioned: tuple[ConceptName, ...] = ()
    """Variables that h shows to the model; empty: the concepts."""
    masked_class: str = ""
    """Class whose prompts are underspecified, e.g. "01"; empty: none."""
    masked_concept: ConceptName = "color"
    """The concept whose entries of h are masked in that class."""
    masked_share: float = Field(0.0, ge=0, le=1)
    """Share alpha of that class's training images whose prompts are masked."""

    @model_validator(mode="after")
    def _check_split(self) -> DataConfig:
        if round(self.validation_share * self.images_per_class) >= self.images_per_class:
            raise ValueError(
                f"validation_share {self.validation_share:g} of {self.images_per_class} images "
                "leaves no training image"
            )
        return self

    @model_serializer(mode="wrap")
    def _stored(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Shapes are stored as they were before there were other images."""
        tree = handler(self)
        if self.kind == "shapes":
            fields = type(self).model_fields
            for name in CELEBA_FIELDS:
                if getattr(self, name) == fields[name].default:
                    del tree[name]
        return tree


class ModelConfig(Section):
    """The diffusion model (paper App. A.2)."""

    channels: tuple[int, ...] = (64, 128, 256)
    """Width of each U-Net level, finest first."""
    blocks: int = Field(2, ge=1)
    """Residual blocks per level and direction."""
    heads: int = Field(4, ge=1)
    """Attention heads in the bottleneck."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate inside the residual blocks."""
    norm: Literal["group", "layer"] = "group"
    """Normalisation: group norm (published settings) or layer norm (paper's text)."""
    groups: int = Field(8, ge=1)
    """Groups of the group norm."""
    time_size: int = Field(64, ge=2, multiple_of=2)
    """Length of the sinusoidal time embedding."""
    embedding_size: int = Field(256, ge=1)
    """Width of the time MLP."""
    schedule: Literal["learned_linear", "fixed_linear"] = "learned_linear"
    """Noise schedule gamma(t)."""
    gamma_start: float = -5.0
    """gamma(0), at initialisation if learned."""
    gamma_end: float = 10.0
    """gamma(1), at initialisation if learned."""
    pixel_range: Literal["unit", "symmetric"] = "unit"
    """Pixels enter the model in [0, 1] or in [-1, 1]."""


class TrainConfig(Section):
    """Optimisation and checkpoints."""

    steps: int = Field(20_000, ge=1)
    """Gradient steps."""
    batch_size: int = Field(64, ge=1)
    """Images per step."""
    learning_rate: float = Field(1e-3, gt=0)
    """AdamW step size."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW weight decay."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW decay of the gradient average."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW decay of the squared-gradient average."""
    clip_norm: float = Field(0.01, gt=0)
    """Largest norm of the gradient."""
    weight_average: float = Field(0.0, ge=0, lt=1)
    """Decay of the exponential average of the weights that is saved for sampling; 0: none."""
    condition_dropout: float = Field(0.0, ge=0, le=1)
    """Rate at which h is replaced by the null condition, for classifier-free guidance."""
    checkpoint_schedule: Literal["sqrt", "linear", "log", "explicit"] = "sqrt"
    """How checkpoints are spread between the first and the last step."""
    checkpoints: int = Field(60, ge=1)
    """Number of checkpoints (fewer where rounding makes two coincide)."""
    first_checkpoint: int = Field(500, ge=0)
    """Step of the first checkpoint; 0 saves the untrained model (not for log)."""
    checkpoint_steps: tuple[int, ...] = ()
    """The steps of the "explicit" schedule, increasing."""

    @model_validator(mode="after")
    def _check_checkpoints(self) -> TrainConfig:
        steps = self.checkpoint_steps
        if self.checkpoint_schedule == "explicit":
            if not steps:
                raise ValueError("checkpoint_steps must list steps when the schedule is explicit")
            if any(a >= b for a, b in pairwise(steps)):
                raise ValueError(f"checkpoint_steps must increase, got {list(steps)}")
            if steps[0] < 0 or steps[-1] > self.steps:
                raise ValueError(
                    f"checkpoint_steps must lie in 0..{self.steps} (steps), got {list(steps)}"
                )
        elif steps:
            raise ValueError('checkpoint_steps needs checkpoint_schedule = "explicit"')
        elif self.first_checkpoint > self.steps:
            raise ValueError(
                f"first_checkpoint {self.first_checkpoint} lies after the last step {self.steps}"
            )
        elif self.checkpoint_schedule == "log" and self.first_checkpoint < 1:
            raise ValueError("first_checkpoint must be at least 1 for the log schedule")
        return self


class ProbeConfig(Section):
    """The classifier that scores generated images (paper App. A.2)."""

    channels: tuple[int, ...] = (64, 128)
    """Width of each U-Net level of the backbone."""
    features: int = Field(64, ge=1)
    """Output channels of the backbone, pooled over the image."""
    pooling: Literal["max", "average"] = "max"
    """Global pooling (App. A.2 says max, section 3.1 average)."""
    images_per_class: int = Field(4096, ge=8)
    """Training images per class, of the widest spread that separates the classes."""
    held_out_per_class: int = Field(512, ge=8)
    """Images per class for the probe's report."""
    steps: int = Field(10_000, ge=1)
    """Gradient steps of AdamW."""
    batch_size: int = Field(64, ge=1)
    """Images per step."""
    learning_rate: float = Field(1e-3, gt=0)
    """AdamW step size."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW weight decay."""
    margin: float = Field(0.1, gt=0, lt=1)
    """Gap kept between the two classes, as a share of their full range."""


class EvaluateConfig(Section):
    """How images are generated at each checkpoint (paper section 3.1)."""

    samples: int = Field(32, ge=2)
    """Images per class under naive prompting."""
    elicitation_samples: int = Field(32, ge=2)
    """Images per class and setting under every other protocol."""
    protocols: tuple[str, ...] = ()
    """Protocols beside naive prompting that `run` adds after training."""
    strengths: tuple[float, ...] = (1.5, 2.5, 3.5, 4.5)
    """Overprompting: how many times as far from the middle as the class mean."""
    alphas: tuple[float, ...] = (0.1, 1.0, 2.0, 4.0)
    """Latent intervention: weights of the added projection."""
    betas: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    """Latent intervention: weights of the removed projection."""
    guidance: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    """Classifier-free guidance: weights."""
    sampler: Literal["ancestral", "ddim", "dpmsolver++", "sde-dpmsolver++"] = "ancestral"
    """Sampler."""
    sampling_steps: int = Field(50, ge=1)
    """Denoising steps."""
    batch_size: int = Field(512, ge=1)
    """Largest number of images in one sampling call."""


class RunConfig(Section):
    """Everything that determines a run."""

    preset: str = "paper"
    """The preset that this config started from."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the data, the initial weights, the data order and all noise."""
    data: DataConfig = DataConfig()
    """The concept space and the images."""
    model: ModelConfig = ModelConfig()
    """The diffusion model."""
    train: TrainConfig = TrainConfig()
    """Optimisation and checkpoints."""
    probe: ProbeConfig = ProbeConfig()
    """The classifier that scores images."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How images are generated at each checkpoint."""

    def to_toml(self) -> str:
        """The config as TOML text that :func:`load` reads back to an equal config."""
        return tomli_w.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """SHA-256 of the whole config."""
        return sha256(self.model_dump_json().encode())


def field_names(section: type[BaseModel] = RunConfig, prefix: str = "") -> dict[str, Any]:
    """Every leaf field under its dotted name, with pydantic's field information."""
    names: dict[str, Any] = {}
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names |= field_names(info.annotation, f"{prefix}{name}.")
        else:
            names[prefix + name] = info
    return names


def merged(base: RunConfig, values: Mapping[str, Any], source: str) -> RunConfig:
    """A new config with nested ``values`` in place of the base's.

    Args:
        base: where all other values come from.
        values: as read from TOML; sections are mappings.
        source: named in the error message, e.g. a file name.

    Raises:
        UserError: an unknown key, a wrong type or an impossible value.
    """
    tree = base.model_dump()
    _merge(tree, values)
    try:
        return RunConfig.model_validate(_tuples(tree))
    except ValidationError as error:
        raise UserError(f"{source}: {_sentence(error)}") from None


def load(path: Path, base: RunConfig) -> RunConfig:
    """Read a TOML file whose values replace those of ``base``.

    Raises:
        UserError: the file cannot be read, is no TOML, or holds an invalid config.
    """
    return merged(base, read(path), str(path))


def read(path: Path) -> dict[str, Any]:
    """The values that a TOML file holds, not checked yet.

    Raises:
        UserError: the file cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read the config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.steps": 3}`` as ``{"train": {"steps": 3}}``."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, leaf = name.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = value
    return tree


def _merge(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    where = ".".join(parts)
    if first["type"] == "extra_forbidden":
        close = get_close_matches(where, field_names(), n=1) or get_close_matches(
            parts[-1], [name.split(".")[-1] for name in field_names()], n=1
        )
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"there is no setting {where}{hint}"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where} = {first['input']!r} is not possible: {message}"
