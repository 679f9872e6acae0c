"""Settings of the model: what all kinds share, and the kinds by name."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from conceptspace.errors import UserError
from conceptspace.settings.bounds import Each
from conceptspace.settings.kinds import Kind, Kinds

LIVE = 8
"""Tensors of the size of its output that a residual block keeps for the gradient."""


class ModelConfig(Kind):
    """The diffusion model (paper App. A.2).

    A network of one's own is a subclass with its settings as fields, each with a default and a
    sentence below it, and a method :meth:`network`.
    """

    kind: str = ""
    """unet, or one of your own: a name that a package registers, module:Class or file.py:Class."""
    schedule: Literal["learned_linear", "fixed_linear"] = "learned_linear"
    """Noise schedule gamma(t)."""
    gamma_start: float = Field(-5.0, ge=-100, le=100)
    """gamma(0), at initialization if learned."""
    gamma_end: float = Field(10.0, ge=-100, le=100)
    """gamma(1), at initialization if learned."""
    pixel_range: Literal["unit", "symmetric"] = "unit"
    """Pixels enter the model in [0, 1] or in [-1, 1]."""

    embeds: ClassVar[bool] = False
    """Whether the network is an :class:`~conceptspace.models.denoiser.EmbeddingDenoiser`; then
    latent interventions and patching can be asked."""

    def network(self, prompt: int, resolution: int) -> Any:
        """An untrained denoiser: a ``torch.nn.Module`` that is called with z_t, (batch, 3,
        resolution, resolution), gamma_t, (batch,), and prompts, (batch, ``prompt``), and predicts
        the noise in z_t. What more it can do, it declares: see
        :mod:`conceptspace.models.denoiser`.

        Raises:
            UserError: the settings describe something impossible.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method network()")

    def weights(self) -> int:
        """About how many weights it has, where that is known before it is made; else 0."""
        return 0

    def activations(self, resolution: int) -> int:
        """About how many numbers an image's way through it keeps for the gradient; 0: unknown."""
        return 0


class UNetConfig(ModelConfig):
    """The U-Net of the paper."""

    kind: Literal["unet"] = "unet"
    """The U-Net of the paper."""
    channels: Annotated[tuple[int, ...], Each(1, 8192, 8)] = (64, 128, 256)
    """Width of each U-Net level, finest first."""
    blocks: int = Field(2, ge=1, le=64)
    """Residual blocks per level and direction."""
    heads: int = Field(4, ge=1, le=1024)
    """Attention heads in the bottleneck."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate inside the residual blocks."""
    norm: Literal["group", "layer"] = "group"
    """Normalization: group norm (published settings) or layer norm (paper's text)."""
    groups: int = Field(8, ge=1, le=1024)
    """Groups of the group norm."""
    time_size: int = Field(64, ge=2, le=8192, multiple_of=2)
    """Length of the sinusoidal time embedding."""
    embedding_size: int = Field(256, ge=1, le=16384)
    """Width of the time MLP."""

    embeds: ClassVar[bool] = True
    default: ClassVar[bool] = True
    order: ClassVar[tuple[str, ...]] = (
        "kind",
        "channels",
        "blocks",
        "heads",
        "dropout",
        "norm",
        "groups",
        "time_size",
        "embedding_size",
    )

    def network(self, prompt: int, resolution: int) -> Any:
        """The U-Net.

        Raises:
            UserError: the architecture does not fit together.
        """
        from conceptspace.models.unet import UNet

        check_channels("model.channels", self.channels, resolution)
        for width in self.channels:
            if width % self.groups or width % self.heads:
                raise UserError(
                    f"model.channels = {list(self.channels)} must be multiples of model.groups = "
                    f"{self.groups} and of model.heads = {self.heads}"
                )
        return UNet(
            prompt,
            channels=self.channels,
            blocks=self.blocks,
            heads=self.heads,
            dropout=self.dropout,
            norm=self.norm,
            groups=self.groups,
            time_size=self.time_size,
            embedding_size=self.embedding_size,
            gamma_range=(self.gamma_start, self.gamma_end),
        )

    def weights(self) -> int:
        """Number of weights of the wide convolutions."""
        return 18 * self.blocks * sum(width**2 for width in self.channels)

    def activations(self, resolution: int) -> int:
        """Feature maps of all blocks, and the attention's weights."""
        return unet_activations(self.channels, self.blocks, self.heads, resolution)


class UnreadModel(ModelConfig):
    """A network of one's own, whose code was not imported: enough to show a run."""

    model_config = ConfigDict(extra="allow")

    def network(self, prompt: int, resolution: int) -> Any:
        """Always raises, since the code was not imported.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"the network {self.kind!r} is not loaded: pages import no code of one's own"
        )

    def settings(self) -> dict[str, Any]:
        """The settings as they were stored."""
        return super().settings() | (self.model_extra or {})


MODELS: Kinds[ModelConfig] = Kinds(
    "network",
    ModelConfig,
    "conceptspace.models",
    {"unet": "conceptspace.models.config:UNetConfig"},
    UnreadModel,
)
"""All kinds of networks; ``MODELS.register("mine")`` is a decorator that adds one."""


def unet_activations(channels: tuple[int, ...], blocks: int, heads: int, resolution: int) -> int:
    """Numbers that one image's way through a U-Net keeps for the gradient."""
    sizes = [width * (resolution // 2**level) ** 2 for level, width in enumerate(channels)]
    bottleneck = (resolution // 2 ** (len(channels) - 1)) ** 2
    return LIVE * (2 * blocks + 1) * sum(sizes) + 3 * heads * bottleneck**2


def check_channels(name: str, channels: tuple[int, ...], resolution: int) -> None:
    """Refuse widths and image sizes that a U-Net cannot have.

    Raises:
        UserError: names the setting.
    """
    if not channels or min(channels) < 8 or any(width % 8 for width in channels):
        raise UserError(f"{name} = {list(channels)} must be positive multiples of 8")
    factor = 2 ** (len(channels) - 1)
    if resolution % factor:
        raise UserError(
            f"data.resolution = {resolution} must be a multiple of {factor}, because {name} has "
            f"{len(channels)} levels"
        )
