"""All trained parameters of a module in one tensor, so that an optimizer step is one operation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class FlatParameters:
    """One tensor that holds all parameters of a module, one that holds all gradients.

    Parameters that require no gradient are left out, and stay as they are.

    The module's parameters become views of ``tensor``, with their shapes and strides; their
    gradients are views of ``tensor.grad``, which has to be set to zero in place.

    Args:
        module: its trained parameters must be dense and of one type and device.

    Attributes:
        tensor: 1-D.

    Raises:
        ValueError: there is no trained parameter, or they are not so.
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        first = _alike(parameters)
        size = sum(p.numel() for p in parameters.values())
        self.tensor = nn.Parameter(torch.empty(size, dtype=first.dtype, device=first.device))
        self.tensor.grad = torch.zeros_like(self.tensor)
        self.layout = {}
        offset = 0
        for name, parameter in parameters.items():
            self.layout[name] = (parameter.shape, parameter.stride(), offset)
            offset += parameter.numel()
        views, gradients = self.views(self.tensor.data), self.views(self.tensor.grad)
        for name, parameter in parameters.items():
            views[name].copy_(parameter.data)
            parameter.data = views[name]
            parameter.grad = gradients[name]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """A tensor of the same length as the module's parameters, by name."""
        return {name: flat.as_strided(*where) for name, where in self.layout.items()}


def _alike(parameters: Mapping[str, Tensor]) -> Tensor:
    """The first parameter, once all are known to fit into one tensor of its type and device."""
    if not parameters:
        raise ValueError("nothing to train: no parameter of the module requires a gradient")
    first_name, first = next(iter(parameters.items()))
    for name, p in parameters.items():
        if (p.dtype, p.device) != (first.dtype, first.device):
            raise ValueError(
                f"all trained parameters have to be of one type and device: {name} is {p.dtype} on "
                f"{p.device}, {first_name} is {first.dtype} on {first.device}"
            )
        # PyTorch keeps strides exactly where every element of a block of memory is used once.
        if torch.empty_like(p, device="meta").stride() != p.stride():
            raise ValueError(
                f"trained parameters have to fill their memory: {name}, of shape {tuple(p.shape)}, "
                f"has strides {p.stride()}"
            )
    return first
