"""The complete description of a run, typed and strict; every field is a command-line flag.

A config is read from TOML, changed by dotted overrides and saved with its run. Unknown keys, wrong
types and impossible values are refused with one sentence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from conceptspace.bounds import Each
from conceptspace.description import Description, Section
from conceptspace.errors import UserError
from conceptspace.settings_tree import complaint, dotted, merge, nested, tuples
from conceptspace.versions import without_header

__all__ = [
    "DataConfig",
    "EvaluateConfig",
    "ModelConfig",
    "ProbeConfig",
    "RunConfig",
    "TrainConfig",
    "complete",
    "field_names",
    "load",
    "merged",
    "nested",
    "read",
]

ConceptName = Literal["shape", "x", "y", "color", "size", "background"]

CELEBA_FIELDS = ("kind", "root", "attributes", "jitter", "flips")
"""Settings of CelebA; a shapes config is stored and hashed without them."""

OWN_FIELDS = ("path", "factors", "values", "shown", "table", "file_column")
"""Settings of data of one's own; a config of shapes or of CelebA is stored without them."""

OPTIONAL = frozenset(
    [*(f"data.{name}" for name in (*CELEBA_FIELDS, *OWN_FIELDS)), "probe.agreement"]
)
"""Settings that the config of a run may lack."""


SWEEP = Each(-(10**6), 10**6, 1000)
"""Bounds of the values that a protocol tries."""


class DataConfig(Section):
    """The concept space and the images (paper section 3.1, App. A.1 and C.3)."""

    kind: Literal["shapes", "celeba", "arrays", "folder"] = "shapes"
    """Rendered shapes, a CelebA folder, a file of arrays (.npz, .h5), or a folder of pictures."""
    path: str = ""
    """Arrays, folder: the file, or the folder."""
    factors: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: columns, or levels of subfolders, that are concepts; empty: all columns."""
    values: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: names of values, e.g. "hue=red|blue" in order, or "scale=0:small|5:large" to
    take these values alone."""
    shown: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: numbers in [0, 1] by which prompts show each value, in their order, e.g.
    "hue=0.6 0.4 0.4|0.4 0.4 0.6"; of all other concepts one-hot codes."""
    table: str = ""
    """Folder: a CSV or Parquet file in it with a row for each picture; empty: class subfolders."""
    file_column: str = "file"
    """Folder: the table's column of the pictures' paths."""
    root: str = ""
    """CelebA: the folder that holds img_align_celeba and list_attr_celeba.txt."""
    attributes: tuple[str, ...] = Field(("Not_Male", "Smiling"), max_length=10)
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
    color_separation: float = Field(0.4, gt=0, le=1)
    """Distance of the red from the blue class mean, per channel."""
    color_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each colour class, as a share of the separation."""
    size_separation: float = Field(0.4, gt=0, le=2)
    """Distance of the large from the small class mean, in half image widths."""
    size_spread: float = Field(3 / 8, ge=0, le=0.5)
    """Half width of each size class, as a share of the separation."""
    background_separation: float = Field(0.4, gt=0, le=1)
    """Distance of the bright from the dark background, where it is a concept."""
    background_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each background class, as a share of the separation."""
    position_separation: float = Field(0.5, gt=0, le=2)
    """Distance of left from right, top from bottom, where position is a concept."""
    position_spread: float = Field(1 / 8, ge=0, le=0.5)
    """Half width of each position class, as a share of the separation."""
    position_range: float = Field(0.5, ge=0, le=1)
    """Largest distance of the object from the centre along x and y."""
    edge_blur: float = Field(1.0, ge=0, le=32)
    """Gaussian softening of the object's edge, in 1/32 of the image width."""
    pixel_noise: float = Field(0.001, ge=0, le=1)
    """Standard deviation of the noise on each pixel."""
    images_per_class: int = Field(2048, ge=2, le=10**7)
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

    def left_out(self) -> frozenset[str]:
        """Shapes and CelebA are stored as they were before there were other images."""
        foreign = {"shapes": (*CELEBA_FIELDS, *OWN_FIELDS), "celeba": OWN_FIELDS}
        return frozenset(foreign.get(self.kind, ("shown",)))


class ModelConfig(Section):
    """The diffusion model (paper App. A.2)."""

    channels: Annotated[tuple[int, ...], Each(1, 8192, 8)] = (64, 128, 256)
    """Width of each U-Net level, finest first."""
    blocks: int = Field(2, ge=1, le=64)
    """Residual blocks per level and direction."""
    heads: int = Field(4, ge=1, le=1024)
    """Attention heads in the bottleneck."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate inside the residual blocks."""
    norm: Literal["group", "layer"] = "group"
    """Normalisation: group norm (published settings) or layer norm (paper's text)."""
    groups: int = Field(8, ge=1, le=1024)
    """Groups of the group norm."""
    time_size: int = Field(64, ge=2, le=8192, multiple_of=2)
    """Length of the sinusoidal time embedding."""
    embedding_size: int = Field(256, ge=1, le=16384)
    """Width of the time MLP."""
    schedule: Literal["learned_linear", "fixed_linear"] = "learned_linear"
    """Noise schedule gamma(t)."""
    gamma_start: float = Field(-5.0, ge=-100, le=100)
    """gamma(0), at initialisation if learned."""
    gamma_end: float = Field(10.0, ge=-100, le=100)
    """gamma(1), at initialisation if learned."""
    pixel_range: Literal["unit", "symmetric"] = "unit"
    """Pixels enter the model in [0, 1] or in [-1, 1]."""


class TrainConfig(Section):
    """Optimisation and checkpoints."""

    steps: int = Field(20_000, ge=1, le=10**9)
    """Gradient steps."""
    batch_size: int = Field(64, ge=1, le=65536)
    """Images per step."""
    learning_rate: float = Field(1e-3, gt=0, le=10**4)
    """AdamW step size."""
    weight_decay: float = Field(0.01, ge=0, le=10**4)
    """AdamW weight decay."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW decay of the gradient average."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW decay of the squared-gradient average."""
    clip_norm: float = Field(0.01, gt=0, le=10**12)
    """Largest norm of the gradient."""
    weight_average: float = Field(0.0, ge=0, lt=1)
    """Decay of the exponential average of the weights that is saved for sampling; 0: none."""
    condition_dropout: float = Field(0.0, ge=0, le=1)
    """Rate at which h is replaced by the null condition, for classifier-free guidance."""
    checkpoint_schedule: Literal["sqrt", "linear", "log", "explicit"] = "sqrt"
    """How checkpoints are spread between the first and the last step."""
    checkpoints: int = Field(60, ge=1, le=10**5)
    """Number of checkpoints (fewer where rounding makes two coincide)."""
    first_checkpoint: int = Field(500, ge=0, le=10**9)
    """Step of the first checkpoint; 0 saves the untrained model (not for log)."""
    checkpoint_steps: Annotated[tuple[int, ...], Each(0, 10**9, 10**5)] = ()
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

    channels: Annotated[tuple[int, ...], Each(1, 8192, 8)] = (64, 128)
    """Width of each U-Net level of the backbone."""
    features: int = Field(64, ge=1, le=8192)
    """Output channels of the backbone, pooled over the image."""
    pooling: Literal["max", "average"] = "max"
    """Global pooling (App. A.2 says max, section 3.1 average)."""
    images_per_class: int = Field(4096, ge=8, le=10**7)
    """Training images per class, of the widest spread that separates the classes."""
    held_out_per_class: int = Field(512, ge=8, le=10**7)
    """Images per class for the probe's report."""
    steps: int = Field(10_000, ge=1, le=10**9)
    """Gradient steps of AdamW."""
    batch_size: int = Field(64, ge=1, le=65536)
    """Images per step."""
    learning_rate: float = Field(1e-3, gt=0, le=10**4)
    """AdamW step size."""
    weight_decay: float = Field(0.01, ge=0, le=10**4)
    """AdamW weight decay."""
    margin: float = Field(0.1, gt=0, lt=1)
    """Gap kept between the two classes, as a share of their full range."""
    agreement: float = Field(0.0, ge=0, lt=1)
    """Above 0: images are judged by the agreement of this probe with a second one, and an image is
    valid if the probe's features are as near to real ones as this share of held-out real images."""

    def left_out(self) -> frozenset[str]:
        """A probe without a second one is stored as it was before there could be one."""
        return frozenset(["agreement"])


class EvaluateConfig(Section):
    """How images are generated at each checkpoint (paper section 3.1)."""

    samples: int = Field(32, ge=2, le=10**5)
    """Images per class under naive prompting."""
    elicitation_samples: int = Field(32, ge=2, le=10**5)
    """Images per class and setting under every other protocol."""
    protocols: tuple[str, ...] = ()
    """Protocols beside naive prompting that `run` adds after training."""
    strengths: Annotated[tuple[float, ...], SWEEP] = (1.5, 2.5, 3.5, 4.5)
    """Overprompting: how many times as far from the middle as the class mean."""
    alphas: Annotated[tuple[float, ...], SWEEP] = (0.1, 1.0, 2.0, 4.0)
    """Latent intervention: weights of the added projection."""
    betas: Annotated[tuple[float, ...], SWEEP] = (0.1, 0.25, 0.5, 1.0)
    """Latent intervention: weights of the removed projection."""
    guidance: Annotated[tuple[float, ...], SWEEP] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    """Classifier-free guidance: weights."""
    sampler: Literal["ancestral", "ddim", "dpmsolver++", "sde-dpmsolver++"] = "ancestral"
    """Sampler."""
    sampling_steps: int = Field(50, ge=1, le=10**4)
    """Denoising steps."""
    batch_size: int = Field(512, ge=1, le=65536)
    """Largest number of images in one sampling call."""


class RunConfig(Description):
    """Everything that determines a run."""

    preset: str = "paper"
    """The preset that this config started from."""
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
    protocols: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of protocols that have some of their own, checked by the protocols themselves."""

    def left_out(self) -> frozenset[str]:
        """A run whose protocols have no settings of their own is stored without the section."""
        return frozenset(["protocols"])

    def settings(self) -> dict[str, Any]:
        """Every setting under its dotted name."""
        own = {f"protocols.{of}.{k}": v for of, s in self.protocols.items() for k, v in s.items()}
        return {name: _leaf(self, name) for name in field_names()} | own


def field_names(section: type[BaseModel] = RunConfig, prefix: str = "") -> dict[str, Any]:
    """Every leaf field under its dotted name, with pydantic's field information; those of single
    protocols are not among them.
    """
    names: dict[str, Any] = {}
    for name, info in section.model_fields.items():
        if section is RunConfig and name == "protocols":
            continue
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names |= field_names(info.annotation, f"{prefix}{name}.")
        else:
            names[prefix + name] = info
    return names


def _leaf(section: Any, name: str) -> Any:
    for part in name.split("."):
        section = getattr(section, part)
    return section


def merged(base: RunConfig, values: Mapping[str, Any], source: str) -> RunConfig:
    """A new config with nested ``values`` in place of the base's.

    Args:
        base: where all other values come from.
        values: as read from TOML; sections are mappings. ``version`` and ``format`` tell who wrote
            them.
        source: named in the error message, e.g. a file name.

    Raises:
        UserError: an unknown key, a wrong type or an impossible value; of a newer version, it names
            both versions.
    """
    tree = base.model_dump()
    settings, newer = without_header(values, source)
    merge(tree, settings)
    try:
        return RunConfig.model_validate(tuples(tree))
    except ValidationError as error:
        raise UserError(f"{source}: {complaint(error, field_names())}{newer}") from None


def load(path: Path, base: RunConfig) -> RunConfig:
    """Read a TOML file whose values replace those of ``base``.

    Raises:
        UserError: the file cannot be read, is no TOML, or holds an invalid config.
    """
    return merged(base, read(path), str(path))


def complete(path: Path) -> RunConfig:
    """Read a run's own config, in which nothing is left to a preset.

    Raises:
        UserError: as for :func:`load`, or a setting is missing.
    """
    values = read(path)
    settings, newer = without_header(values, str(path))
    names = field_names()
    there = {name for name in dotted(settings) if not name.startswith("protocols.")}
    missing = [name for name in names if name not in there | OPTIONAL]
    if missing and there <= set(names):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
            f"{path} is not whole: it lacks {', '.join(missing[:3])}{more}, and a run's config "
            f"holds every setting; put it back as it was{newer}"
        )
    return merged(RunConfig(), values, str(path))


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
