"""Which operations are computed in bfloat16, and whether this machine gains by it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.denoiser import Accelerated
from conceptspace.models.vdm import VDM

Precision = Literal["float32", "bfloat16"]


class LoweredModel:
    """A model and its copy that computes the wide layers in bfloat16.

    The wide layers are the convolutions of the residual blocks and between levels and the linear
    layers of the attention, over 95 % of the arithmetic (:meth:`UNetTrunk.wide_layers`); a network
    that is not :class:`~conceptspace.models.denoiser.Accelerated` has none, and no copy. The copy
    shares every other parameter with the model: the first and last convolution, norms, softmax,
    embeddings and the noise schedule stay float32, and so do the loss, the sampler, the optimizer
    and the stored weights.

    Forward hooks belong to both: one that is put on a layer of the model later is called for the
    copy's as well.

    Args:
        model: float32; changed by whoever owns it.
        precision: "float32" makes no copy: ``fast`` is the model itself.

    Attributes:
        fast: computes like the model, sooner.
    """

    def __init__(self, model: VDM, precision: Precision) -> None:
        self.model = model
        self.fast = model
        self.pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        if precision == "float32" or not isinstance(model.network, Accelerated):
            return
        shared = {id(p): p for p in model.parameters()} | {id(b): b for b in model.buffers()}
        for parameter in _wide(model):
            del shared[id(parameter)]
        shared |= {id(h): h for m in model.modules() for h in _hooks(m)}
        self.fast = copy.deepcopy(model, shared)
        for layer in _wide_layers(self.fast):
            layer.to(torch.bfloat16)
        self.pairs = list(zip(_wide(model), _wide(self.fast), strict=True))
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the model's weights into the copy."""
        if self.pairs:
            torch._foreach_copy_([low for _, low in self.pairs], [high for high, _ in self.pairs])

    @torch.no_grad()
    def collect_gradients(self) -> None:
        """Move the gradients of the copy's own weights to the model's, which must have ``grad``."""
        trained = [(high, low) for high, low in self.pairs if high.requires_grad]
        into = [high.grad for high, _ in trained]
        found = [low.grad for _, low in trained]
        if trained:
            torch._foreach_copy_(into, found)  # type: ignore[arg-type]
        for _, low in self.pairs:
            low.grad = None

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights into the model and its copy.

        Raises:
            UserError: they are of another architecture, or of a version that arranged them
                differently.
        """
        expected = self.model.state_dict()
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in expected.items()}:
            odd = sorted(weights.keys() ^ expected.keys()) or ["shapes"]
            raise UserError(
                f"these weights do not fit the model (they differ in {odd[0]}): they come from "
                f"another version of conceptspace or another config; train the run again"
            )
        self.model.load_state_dict(weights)
        self.refresh()


def _hooks(module: nn.Module) -> list[Any]:
    """Where a module keeps its forward hooks."""
    kinds = ("_forward_hooks", "_forward_pre_hooks")
    return [getattr(module, k + end) for k in kinds for end in ("", "_with_kwargs")] + [
        module._forward_hooks_always_called
    ]


def _wide(model: VDM) -> list[nn.Parameter]:
    return [p for layer in _wide_layers(model) for p in layer.parameters()]


def _wide_layers(model: VDM) -> list[nn.Module]:
    assert isinstance(model.network, Accelerated)
    return model.network.wide_layers()


def fastest_precision(device: torch.device) -> Precision:
    """bfloat16 where the device multiplies matrices in it, float32 where that is emulated.

    On a CPU the instructions are AMX or AVX512-BF16, on a CUDA device compute capability 8.0 and
    later; other devices compute in float32.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type != "cpu":
        native = False
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
    return "bfloat16" if native else "float32"
