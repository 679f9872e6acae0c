"""Plain functions as generative models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from conceptspace.models.generative import GenerativeModel, Hookable, Prompts
from conceptspace.models.noise import Noise

PixelRange = tuple[float, float]


def to_unit(x: Tensor, pixel_range: PixelRange) -> Tensor:
    """A model's pixels in [0, 1]; what lies outside is cut off, but stays infinite if it is."""
    low, high = pixel_range
    unit = (x - low) / (high - low)
    return unit.clamp(0, 1).where(unit.isfinite(), unit)


def from_unit(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """Images in [0, 1] as a model's pixels."""
    low, high = pixel_range
    return images * (high - low) + low


@dataclass(frozen=True)
class FunctionModel(GenerativeModel):
    """See :func:`from_function`."""

    function: Callable[[Prompts, Tensor], Tensor]
    shape: tuple[int, ...]
    pixel_range: PixelRange | None

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1]; without a range as the function returns them."""
        images = self.function(prompts, noise(*self.shape))
        return images if self.pixel_range is None else to_unit(images, self.pixel_range)


@dataclass(frozen=True)
class ModuleModel(FunctionModel, Hookable):
    """A function that is a ``torch.nn.Module``."""

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Its modules."""
        assert isinstance(self.function, nn.Module)
        return self.function.named_modules()


def from_function(
    function: Callable[[Prompts, Tensor], Tensor],
    shape: tuple[int, ...],
    *,
    pixel_range: PixelRange | None = None,
) -> FunctionModel:
    """A model from a function of prompts and one tensor of noise, e.g. a GAN's generator.

    >>> model = from_function(lambda prompts, noise: noise.sigmoid(), (3, 8, 8))
    >>> model(torch.zeros(4, 2), Noise(0, "11", range(4))).shape
    torch.Size([4, 3, 8, 8])

    Args:
        function: (prompts, standard normal noise ``(batch, *shape)``) -> images (batch, channels,
            height, width) in the range; it moves both to its device.
        shape: of the noise of one image.
        pixel_range: black and white of the function's pixels, e.g. (-1, 1) behind tanh; what lies
            beyond is cut off. Without it the pixels have to lie in [0, 1].
    """
    kind = ModuleModel if isinstance(function, nn.Module) else FunctionModel
    return kind(function, shape, pixel_range)
