"""The engine's layers in the place of a model's own, where they fit; parameters stay as they are.

A layer that was replaced is the same object with another class, as PyTorch's parametrizations do
it: its parameters, hooks and names are what they were, and a saved model does not know of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TypeVar

import torch
from torch import nn

from conceptspace.engine.fused_layers import FusedBlock, FusedConvolution, FusedNorm, can_be_one
from conceptspace.models.unet import ResidualBlock, UNetTrunk, channels_last

Module = TypeVar("Module", bound=nn.Module)

NORMS, CONVOLUTIONS, BLOCKS = "norms with GELU", "3x3 convolutions", "residual blocks"
KINDS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    NORMS: (nn.GroupNorm, FusedNorm),
    CONVOLUTIONS: (nn.Conv2d, FusedConvolution),
    BLOCKS: (ResidualBlock, FusedBlock),
}
"""What is replaced by what."""


def accelerates(device: torch.device) -> bool:
    """Whether a model is arranged for a device; on others, as ``mps``, it computes as it is."""
    return device.type in ("cpu", "cuda", "meta")


def fuse(
    model: Module, device: torch.device | None = None, kinds: Collection[str] = tuple(KINDS)
) -> Module:
    """Move a model to a device, its channels innermost, with the engine's layers in their places.

    Args:
        model: changed in place.
        device: where it is to compute; None leaves it where it is.
        kinds: of :data:`KINDS` that are replaced; layers of the others become the model's own.

    Returns:
        The model; :func:`fused` tells what was replaced in it.
    """
    if device is not None and not accelerates(device):
        return model.to(device)
    for kind, layer in _replaceable(model):
        own, fast = KINDS[kind]
        if type(layer) in (own, fast):
            layer.__class__ = fast if kind in kinds else own
    return channels_last(model, device)


def fused(model: nn.Module) -> dict[str, int]:
    """How many layers of a model are the engine's, by kind."""
    kinds = {fast: kind for kind, (_, fast) in KINDS.items()}
    return dict(Counter(kinds[type(m)] for m in model.modules() if type(m) in kinds))


def _replaceable(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a model's U-Nets that one of the engine's fits, with their kinds."""
    for module in model.modules():
        if isinstance(module, UNetTrunk):
            yield NORMS, module.norm_out
        if isinstance(module, ResidualBlock):
            yield NORMS, module.norm1
            yield NORMS, module.norm2
            if can_be_one(module):
                yield CONVOLUTIONS, module.conv1
                yield CONVOLUTIONS, module.conv2
                yield BLOCKS, module
