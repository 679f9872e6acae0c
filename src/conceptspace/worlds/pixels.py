"""Arrays of images in every usual layout as bytes or floats of shape (count, channels, h, w)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError

CHANNELS = (1, 3, 4)
CHUNK = 1024
"""Images that are scaled or composited at once."""


def as_images(images: Any, what: str = "images") -> Tensor:
    """Images as a tensor of bytes or of single-precision numbers in [0, 1].

    Args:
        images: array or tensor of shape (N, H, W), (N, H, W, C) or (N, C, H, W), 1, 3 or 4
            channels; bytes 0 to 255, booleans, or floating-point numbers in [0, 1].
        what: named in the error message.

    Returns:
        Shape (N, 1 or 3, H, W): a fourth channel is opacity, and lets white through.

    Raises:
        UserError: another shape, type or range.
    """
    tensor = _tensor(images, what)
    if tensor.dtype == torch.bool:
        tensor = tensor.to(torch.uint8) * 255
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(
            f"{what} of {str(tensor.dtype).removeprefix('torch.')}: they are bytes (uint8, 0 to "
            "255) or floating-point numbers in [0, 1]"
        )
    tensor = _channels_first(tensor, what)
    if not tensor.numel():
        raise UserError(f"{what} of shape {tuple(tensor.shape)}: there are none")
    if tensor.dtype == torch.uint8:
        if tensor.max() <= 1 and tensor.max() > 0:
            raise UserError(f"{what} are bytes that reach from 0 to 1 only; multiply them by 255")
    else:
        tensor = tensor.to(torch.float32)
        low, high = tensor.min().item(), tensor.max().item()
        if not (low >= 0 and high <= 1):
            hint = range_hint(low, high)
            raise UserError(f"{what} reach from {low:g} to {high:g}, not [0, 1]{hint}")
    return on_white(tensor) if tensor.shape[1] == 4 else tensor


def range_hint(low: float, high: float) -> str:
    """What may be wrong with pixels outside of [0, 1], and what would be right."""
    if low >= -0.1 and high <= 1.1:
        return " (cut off what lies a little beyond)"
    if low >= -1.1 and high <= 1.1:
        return " (take (x + 1) / 2)"
    if low < 0 or high <= 2:
        return ""
    if 100 < high <= 255:
        return " (divide bytes by 255)"
    return " (divide by the largest value there may be)"


def scaled(images: Tensor, side: int) -> Tensor:
    """Images scaled to a square as a whole (bilinear, antialiased), of the same type."""
    if images.shape[2:] == (side, side):
        return images
    parts = [
        F.interpolate(as_floats(part), (side, side), mode="bilinear", antialias=True)
        for part in images.split(CHUNK)
    ]
    return torch.cat([_typed(part, images) for part in parts])


def as_floats(images: Tensor) -> Float[Tensor, "count c height width"]:
    """Bytes divided by 255; other images as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def in_color(images: Tensor) -> Tensor:
    """Three channels: grey is repeated."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def _tensor(images: Any, what: str) -> Tensor:
    if isinstance(images, Tensor):
        return images.detach().cpu()
    try:
        array = np.ascontiguousarray(images)
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError):
        raise UserError(
            f"{what}: an array of numbers (N, height, width) or with channels belongs there, not "
            f"{type(images).__name__}; images of different sizes are scaled to one before"
        ) from None


def _channels_first(tensor: Tensor, what: str) -> Tensor:
    shape = tuple(tensor.shape)
    if tensor.ndim == 3:
        return tensor[:, None]
    first = tensor.ndim == 4 and shape[1] in CHANNELS
    last = tensor.ndim == 4 and shape[3] in CHANNELS
    if first and last:  # tiny images: the square sides are height and width
        first, last = shape[2] == shape[3], shape[1] == shape[2]
    if first == last:
        raise UserError(
            f"{what} of shape {shape}: (N, height, width), (N, height, width, channels) or (N, "
            "channels, height, width) with 1, 3 or 4 channels belong there"
        )
    return tensor if first else tensor.permute(0, 3, 1, 2)


def on_white(images: Tensor) -> Tensor:
    """Three channels of four, of which the last is opacity and lets white through."""
    parts = []
    for part in images.split(CHUNK):
        colors, opacity = as_floats(part).split((3, 1), dim=1)
        parts.append(_typed(colors * opacity + (1 - opacity), images))
    return torch.cat(parts)


def _typed(values: Tensor, like: Tensor) -> Tensor:
    values = values.clamp(0, 1)
    return (values * 255).round().to(torch.uint8) if like.dtype == torch.uint8 else values
