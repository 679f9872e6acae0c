"""All trained parameters of a module in one tensor, so that an optimiser step is one operation."""

from __future__ import annotations

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
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        first = next(iter(parameters.values()))
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
