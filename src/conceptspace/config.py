"""The complete description of a run, typed and strict; every field is a command-line flag.

A config is read from TOML, changed by dotted overrides and saved with its run. Unknown keys, wrong
types and impossible values are refused with one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from conceptspace.errors import UserError
from conceptspace.files import read_whole, toml
from conceptspace.models.config import MODELS, ModelConfig, UNetConfig
from conceptspace.settings.bounds import Each
from conceptspace.settings.description import Description, Section
from conceptspace.settings.kinds import READING, Kind, Kinds
from conceptspace.settings.tree import complaint, dotted, merge, nested, tuples
from conceptspace.settings.versions import without_header
from conceptspace.worlds.config import WORLDS, DataConfig
from conceptspace.worlds.shapes.config import ShapesData

__all__ = [
    "EvaluateConfig",
    "ProbeConfig",
    "RunConfig",
    "TrainConfig",
    "field_names",
    "load",
    "merged",
    "nested",
    "read",
    "read_complete",
]

SWEEP = Each(-(10**6), 10**6, 1000)
"""Bounds of the values that a protocol tries."""


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
    data: Annotated[SerializeAsAny[DataConfig], BeforeValidator(WORLDS.section)] = ShapesData()
    """The concept space and the images."""
    model: Annotated[SerializeAsAny[ModelConfig], BeforeValidator(MODELS.section)] = UNetConfig()
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
        """Every setting that has an effect, under its dotted name."""
        found: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Section):
                own = value.settings() if isinstance(value, Kind) else dict(value)
                found |= {f"{name}.{key}": setting for key, setting in own.items()}
            elif name == "protocols":
                found |= dotted({name: value})
            else:
                found[name] = value
        return found

    def loaded(self) -> RunConfig:
        """The same config with the kinds of one's own, whose code is imported.

        Raises:
            UserError: it cannot be, or has other settings.
        """
        return merged(self, {}, "config")


KINDS: dict[str, Kinds[Any]] = {"data": WORLDS, "model": MODELS}
"""Sections that come in kinds."""


def field_names(**kinds: str) -> dict[str, FieldInfo]:
    """Every leaf field under its dotted name, with pydantic's field information; those of single
    protocols are not among them.

    Args:
        kinds: kinds of one's own whose settings are to be among them, by section.
    """
    names: dict[str, FieldInfo] = {}
    for name, info in RunConfig.model_fields.items():
        if name in KINDS:
            fields = KINDS[name].fields(kinds.get(name, ""))
            names |= {f"{name}.{field}": found for field, found in fields.items()}
        elif isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            fields = info.annotation.model_fields
            names |= {f"{name}.{field}": found for field, found in fields.items()}
        elif name != "protocols":
            names[name] = info
    return names


def merged(
    base: RunConfig, values: Mapping[str, Any], source: str, *, reading: bool = False
) -> RunConfig:
    """A new config with nested ``values`` in place of the base's.

    Args:
        base: where all other values come from; where a kind changes, those that both have.
        values: as read from TOML; sections are mappings. ``version`` and ``format`` say what
            wrote them.
        source: named in the error message, e.g. a file name.
        reading: whether settings of kinds of one's own stay as they are, and nothing is imported.

    Raises:
        UserError: an unknown key, a wrong type or an impossible value; of a newer version, it names
            both versions.
    """
    tree = base.model_dump()
    settings, newer = without_header(values, source)
    for name, kinds in KINDS.items():
        given = settings.get(name, {})
        if isinstance(given, Mapping):
            kind = given.get("kind", getattr(base, name).kind)
            tree[name] = kinds.start(tree[name], kind)
            if isinstance(kind, str) and not reading:
                kinds.refuse_others(given, kind, name, source)
    merge(tree, settings)
    try:
        return RunConfig.model_validate(tuples(tree), context=READING if reading else None)
    except ValidationError as error:
        raise UserError(f"{source}: {complaint(error, field_names())}{newer}") from None


def load(path: Path, base: RunConfig) -> RunConfig:
    """Read a TOML file whose values replace those of ``base``.

    Raises:
        UserError: the file cannot be read, is no TOML, or holds an invalid config.
    """
    return merged(base, read(path), str(path))


def read_complete(path: Path) -> RunConfig:
    """Read a run's own config, in which nothing is left to a preset; no code is imported for it,
    see :meth:`RunConfig.loaded`.

    Raises:
        UserError: as for :func:`load`, or a setting is missing.
    """
    values = read(path)
    settings, newer = without_header(values, str(path))
    there = dotted(settings)
    named = {name: there.get(f"{name}.kind", kinds.default) for name, kinds in KINDS.items()}
    sections = {name: {"kind": kind} for name, kind in named.items()}
    usual = RunConfig.model_validate(sections, context=READING).model_dump()
    missing = [name for name in dotted(usual) if name not in there]
    own = [f"{name}." for name, kind in named.items() if kind not in KINDS[name].built_in]
    open_ended = ("protocols.", *own)
    known = field_names()
    if missing and all(name in known or name.startswith(open_ended) for name in there):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
            f"{path} is not whole: it lacks {', '.join(missing[:3])}{more}, and a run's config "
            f"holds every setting; put it back as it was{newer}"
        )
    return merged(RunConfig(), values, str(path), reading=True)


def read(path: Path) -> dict[str, Any]:
    """The values that a TOML file holds, not checked yet.

    Raises:
        UserError: the file cannot be read, or is no TOML.
    """
    try:
        return toml(read_whole(path).decode())
    except OSError as error:
        raise UserError(f"cannot read the config file {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
