"""How a kernel is declared and called: the one place where a tensor becomes a pointer.

Each kernel is declared once, in :mod:`conceptspace.engine.native.kernels`. Its ctypes signature,
the checks of its tensors and the memory of its results all come from there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

F32, BF16 = torch.float32, torch.bfloat16
Numbers = dict[str, int | float]
Condition = Callable[[Numbers], str | None]
"""What is wrong with the sizes and settings of a call; optional tensors count as 1 or 0."""


class Unfit(RuntimeError):
    """A kernel cannot take these tensors."""


@dataclass(frozen=True)
class Array:
    """A tensor that a kernel reads or writes.

    Args:
        name: of the argument, as in C++.
        shape: sizes by name or number, such as "outputs inputs 3 3". The first tensor of a call
            that has a name in its shape gives it its value.
        dtype: None for that of the call, float32 or bfloat16.
        innermost: the second dimension, the channels, is innermost in memory; else the last is.
        optional: may be absent, a null pointer.
        beside: an optional tensor read by the kernel; present exactly when that is.
    """

    name: str
    shape: str
    dtype: torch.dtype | None = F32
    innermost: bool = False
    optional: bool = False
    beside: str = ""

    @cached_property
    def names(self) -> list[int | str]:
        """The shape, size by size."""
        return [int(part) if part.isdigit() else part for part in self.shape.split()]

    @cached_property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.innermost else torch.contiguous_format

    def check(self, tensor: Tensor | None, dtype: torch.dtype, sizes: Numbers) -> None:
        """Compare a tensor with what is declared, and give the sizes in its shape their values.

        Raises:
            Unfit: it is something else, or another tensor gave a size another value.
        """
        if tensor is None or type(tensor) not in (Tensor, nn.Parameter):
            raise Unfit(f"{self.name} is a {type(tensor).__name__}, not a plain tensor")
        if not tensor.is_cpu or tensor.layout is not torch.strided:
            raise Unfit(f"{self.name} is {tensor.layout} on {tensor.device}, not dense on the CPU")
        if tensor.dtype is not dtype:
            raise Unfit(f"{self.name} is {tensor.dtype}, not {dtype}")
        shape = tensor.shape
        right = len(shape) == len(self.names)
        for name, size in zip(self.names, shape, strict=False):
            right = right and size == (
                sizes.setdefault(name, size) if isinstance(name, str) else name
            )
        if not right:
            wanted = [n if isinstance(n, int) else f"{n}={sizes.get(n)}" for n in self.names]
            raise Unfit(
                f"{self.name} is of shape {tuple(shape)}, not ({', '.join(map(str, wanted))})"
            )
        if not tensor.is_contiguous(memory_format=self.layout) or tensor.is_neg():
            which = "second" if self.innermost else "last"
            raise Unfit(
                f"{self.name} has strides {tensor.stride()}, and has to be one block of memory "
                f"with its {which} dimension innermost"
            )


@dataclass(frozen=True)
class Kernel:
    """A C++ function, whose arguments are, if ``typed``, whether the call's type is bfloat16; a
    pointer for each tensor that it reads and writes; the sizes; and the settings.

    Args:
        name: of the function.
        reads, writes: its tensors.
        sizes: names that stand in the shapes.
        settings: "eps", "rate" (float64) and "seed" (32 bits).
        conditions: on sizes and settings.
    """

    name: str
    reads: tuple[Array, ...]
    writes: tuple[Array, ...]
    sizes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @cached_property
    def typed(self) -> bool:
        return any(array.dtype is None for array in (*self.reads, *self.writes))

    def declare(self, library: ctypes.CDLL) -> None:
        """Tell ctypes the types of the arguments."""
        function = getattr(library, self.name)
        function.restype = None
        function.argtypes = [
            *([ctypes.c_int] if self.typed else []),
            *[ctypes.c_void_p] * (len(self.reads) + len(self.writes)),
            *[ctypes.c_int64] * len(self.sizes),
            *(ctypes.c_uint32 if s == "seed" else ctypes.c_double for s in self.settings),
        ]

    def checked(
        self, tensors: Sequence[Tensor | None], dtype: torch.dtype = F32, **numbers: int | float
    ) -> Call:
        """A call on tensors that are as declared.

        Args:
            tensors: those that are read, in order.
            dtype: of the call, float32 or bfloat16.
            numbers: the dropout's rate, and sizes that stand in no shape of what is read.

        Raises:
            Unfit: a tensor's device, type, shape or layout is another, or a size or the rate is
                none for this kernel.
        """
        found: Numbers = dict(numbers)
        try:
            if self.typed and dtype not in (F32, BF16):
                raise Unfit(f"there is no kernel for {dtype}")
            for array, tensor in zip(self.reads, tensors, strict=True):
                if array.optional:
                    found[array.name] = present = int(tensor is not None)
                    if array.beside and found[array.beside] != present:
                        raise Unfit(f"{array.name} and {array.beside} have to be given together")
                    if not present:
                        continue
                array.check(tensor, array.dtype or dtype, found)
            for name in self.sizes:
                if not found.get(name, 0) > 0:
                    raise Unfit(f"the number of {name} has to be positive")
            for condition in self.conditions:
                if wrong := condition(found):
                    raise Unfit(wrong)
        except Unfit as fault:
            raise Unfit(f"{self.name}: {fault}") from None
        return Call(self, tensors, dtype, found)

    def fitting(
        self, tensors: Sequence[Tensor | None], dtype: torch.dtype = F32, **numbers: int | float
    ) -> Call | None:
        """The call, or None where the kernel cannot take these tensors; see :meth:`checked`."""
        try:
            return self.checked(tensors, dtype, **numbers)
        except Unfit:
            return None


@dataclass(frozen=True)
class Call:
    """A kernel and what it is called on, checked by :meth:`Kernel.checked`, which makes it."""

    kernel: Kernel
    tensors: Sequence[Tensor | None]
    dtype: torch.dtype
    found: Numbers

    def __call__(self, library: ctypes.CDLL, **settings: int | float) -> list[Tensor | None]:
        """Call the kernel.

        Args:
            library: compiled, and described to by :meth:`Kernel.declare`.
            settings: those that were not needed for the check.

        Returns:
            What is written, in order; None for what is beside an absent tensor.

        Raises:
            Unfit: a tensor's memory was freed.
        """
        kernel, found = self.kernel, self.found | settings
        results = [
            None
            if array.beside and not found[array.beside]
            else torch.empty(
                [int(found[n]) if isinstance(n, str) else n for n in array.names],
                dtype=array.dtype or self.dtype,
                device="cpu",
                memory_format=array.layout,
            )
            for array in kernel.writes
        ]
        pointers = [None if t is None else t.data_ptr() for t in (*self.tensors, *results)]
        if 0 in pointers:
            raise Unfit(f"{kernel.name}: the memory of a tensor was freed")
        getattr(library, kernel.name)(
            *([self.dtype is BF16] if kernel.typed else []),
            *pointers,
            *(int(found[name]) for name in kernel.sizes),
            *(found[name] for name in kernel.settings),
        )
        return results
