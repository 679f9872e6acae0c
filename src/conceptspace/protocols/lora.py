"""Low-rank adapters by the library ``peft`` (``conceptspace[peft]``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from conceptspace.errors import UserError


@contextmanager
def adapters(module: nn.Module, rank: int) -> Iterator[None]:
    """W + B A in place of W in every linear layer and convolution (LoRA, arXiv 2106.09685).

    Meanwhile A and B, which starts at zero, are the only parameters that have gradients.
    Afterwards their product is added to W, and the layers are again of the classes that they were.

    Args:
        module: changed in place.
        rank: of the product.

    Raises:
        UserError: peft is not installed, or the module has no such layer.
    """
    library = peft()
    names = [
        name
        for name, layer in module.named_modules()
        if name and type(layer) in (nn.Linear, nn.Conv2d) and getattr(layer, "groups", 1) == 1
    ]
    if not names:
        raise UserError(
            f"low-rank adapters belong beside linear layers and convolutions inside a module, and "
            f"{type(module).__name__} has none"
        )
    config = library.LoraConfig(
        r=rank, lora_alpha=rank, target_modules="|".join(map(re.escape, names))
    )
    adapted = library.LoraModel(module, config, "default")
    try:
        yield
    finally:
        adapted.merge_and_unload()


def peft() -> Any:
    """The library.

    Raises:
        UserError: it is not installed.
    """
    try:
        import peft as library
    except ImportError as error:
        raise UserError(
            f"low-rank adapters need the package peft ({error}); install it with: pip install "
            "'conceptspace[peft]'"
        ) from None
    return library
