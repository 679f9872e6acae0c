"""Where one kernel may take the place of several operations, and where these must run on their own.

A kernel is invisible to whatever looks at single operations or modules: hooks, parametrizations,
transforms, autocast, tracing. There the separate operations run, and the result is the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from conceptspace.engine.native.compiling import Native, native
from conceptspace.models.layers import transformed

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


SEEDS = 2**32
SEPARATE = Native(None, "separate operations")


def kernels_for(x: Tensor) -> Native:
    """The kernels of this machine, or none where separate operations have to compute with x."""
    if x.device.type == "cpu" and fusible():
        return native()
    return SEPARATE


def loaded() -> ctypes.CDLL:
    """The library, once :func:`kernels_for` gave it."""
    library = native().library
    assert library is not None
    return library


def fusible() -> bool:
    """Whether nothing around the call wants to see, change or record single operations."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch.is_autocast_enabled("cpu")
        or torch._C._len_torch_dispatch_stack() > 0
        or transformed()
    )


def untouched(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a layer is of this class and only computes what its parameters say.

    A subclass or a parametrization, a forward method of its own, a hook on it or on all modules,
    and a normalization or convolution without weight or bias are all something else.
    """
    return (
        type(layer) is kind
        and "forward" not in vars(layer)
        and not any(getattr(layer, name) for name in HOOKS)
        and not _has_any_global_hook()
        and all(getattr(layer, name, layer) is not None for name in ("weight", "bias"))
    )


def has_hooks(model: nn.Module) -> bool:
    """Whether a hook is on any module of a model, or on all modules."""
    return _has_any_global_hook() or any(
        getattr(module, name) for module in model.modules() for name in HOOKS
    )


def same_size(layer: nn.Module, kind: type[nn.Conv2d] = nn.Conv2d) -> bool:
    """Whether a layer is a plain convolution that keeps the resolution, zeros around the image."""
    return (
        isinstance(layer, kind)
        and untouched(layer, kind)
        and layer.padding == tuple(size // 2 for size in layer.kernel_size)
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
    )


def dropout_seed(rate: float) -> int:
    """For a kernel's dropout, from PyTorch's generator; 0 without dropout."""
    return int(torch.randint(SEEDS, (), device="cpu")) if rate > 0 else 0


def dropout_mask(shape: Sequence[int], rate: float, seed: int) -> Tensor:
    """By what a kernel's dropout multiplies: 0 or 1 / (1 - rate), a hash of the position.

    The same as in ``engine/native/norm_gelu.hpp``, for gradients of gradients.

    Args:
        shape: of an image, (batch, c, h, w), whose channels are innermost in memory.
        rate: of the dropout.
        seed: of the call.
    """
    batch, channels, height, width = shape
    low = SEEDS - 1
    h = torch.arange(batch * height * width * channels, device="cpu") * 0x9E3779B1 + seed & low
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ h >> shift) * factor & low
    kept = (h >= int(rate * SEEDS)).float() / (1 - rate)
    return kept.view(batch, height, width, channels).permute(0, 3, 1, 2)


def drop_as_kernel(rate: float, seed: int) -> Callable[[Tensor], Tensor]:
    """The dropout of a kernel's call as an operation of its own; nothing at rate 0."""
    return lambda y: y * dropout_mask(y.shape, rate, seed) if rate > 0 else y


def dense(grad: Tensor) -> Tensor:
    """A gradient as the kernels read it: the channels innermost."""
    return grad.contiguous(memory_format=torch.channels_last).resolve_neg()


def gradient_of_its_own(grad: Tensor) -> bool:
    """Whether a gradient is itself differentiated, or taken for many vectors at once.

    The kernels' gradients know nothing of that, and :func:`differentiated` takes their place.
    """
    return torch.is_grad_enabled() or transformed() or not torch._C._has_storage(grad)


def differentiated(
    separate: Callable[..., Tensor],
    inputs: Sequence[Tensor | None],
    grad: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of separate operations, as far as they are needed; they have a gradient, too.

    Args:
        separate: function of the inputs.
        inputs: tensors.
        grad: of the result.
        needed: of which inputs.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Copies: where one input was computed from another, that way is not counted here, and
        # PyTorch's vmap takes no norm of channels that are innermost.
        layout = torch.contiguous_format
        seen = [None if t is None else t.clone(memory_format=layout) for t in inputs]
        wanted = [t for t, n in zip(seen, needed, strict=True) if n and t is not None]
        found = iter(torch.autograd.grad(separate(*seen), wanted, grad, create_graph=again))
    return [next(found) if n else None for n in needed]
