"""What a kernel is told is what it declares: nothing else becomes a pointer."""

from __future__ import annotations

import ctypes
import re

import pytest
import torch

from conceptspace.engine.native import kernels
from conceptspace.engine.native.compiling import FOLDER
from conceptspace.engine.native.interface import Kernel, Unfit


def prototypes():
    """Of the functions in C++: name -> (type, argument) each."""
    found = {}
    for source in FOLDER.glob("*.cpp"):
        exported = source.read_text().split('extern "C" {')[1]
        for name, inside in re.findall(r"^void (\w+)\(([^)]+)\) \{$", exported, re.M):
            arguments = (" ".join(a.split()).rpartition(" ") for a in inside.split(","))
            found[name] = [(kind, argument) for kind, _, argument in arguments]
    return found


def declared(kernel):
    def pointer(array, how):
        kind = "float*" if array.dtype == torch.float32 else "void*"
        return (("const " if how == "in" else "") + kind, array.name)

    return [
        *([("int", "half")] if kernel.typed else []),
        *(pointer(array, "in") for array in kernel.reads),
        *(pointer(array, "out") for array in kernel.writes),
        *(("int64_t", size) for size in kernel.sizes),
        *(("uint32_t" if s == "seed" else "double", s) for s in kernel.settings),
    ]


@pytest.mark.parametrize("kernel", kernels.KERNELS, ids=lambda kernel: kernel.name)
def test_the_table_says_what_the_source_says(kernel):
    assert declared(kernel) == prototypes()[kernel.name]


def test_every_function_is_in_the_table():
    assert set(prototypes()) == {kernel.name for kernel in kernels.KERNELS}


SIZES = {
    "images": 2, "height": 3, "width": 4, "channels": 32, "groups": 4, "inputs": 32, "outputs": 32,
}  # fmt: skip


def tensors(kernel: Kernel) -> list[torch.Tensor]:
    return [
        torch.empty(
            [SIZES.get(str(name), name) for name in array.names],
            dtype=array.dtype or torch.float32,
            memory_format=array.layout,
        ).normal_()
        for array in kernel.reads
    ]


def checked(kernel, given, dtype=torch.float32, **numbers):
    return kernel.checked(given, dtype, **{"groups": 4, "rate": 0.0} | numbers)


@pytest.mark.parametrize("kernel", kernels.KERNELS, ids=lambda kernel: kernel.name)
class TestEveryTensorOfEveryKernel:
    def refuse(self, kernel, change, told, which=lambda array: True):
        checked(kernel, tensors(kernel))
        tried = [i for i, array in enumerate(kernel.reads) if which(array)]
        if not tried:
            pytest.skip("this kernel has no such tensor")
        for i in tried:
            given = tensors(kernel)
            given[i] = change(given[i])
            with pytest.raises(Unfit, match=f"^{kernel.name}: .*{told}"):
                checked(kernel, given)

    def test_of_another_type(self, kernel):
        self.refuse(kernel, lambda t: t.double(), "is torch.float64, not torch")
        self.refuse(kernel, lambda t: t.half(), "is torch.float16, not torch")
        self.refuse(kernel, lambda t: t.to(torch.complex64), "is torch.complex64")

    def test_on_another_device(self, kernel):
        self.refuse(kernel, lambda t: t.to("meta"), "on meta, not dense on the CPU")

    def test_of_another_layout(self, kernel):
        self.refuse(kernel, lambda t: t.to_sparse(), "sparse")

    def test_of_other_sizes(self, kernel):
        """Twice the size that is a number, or that stands in another shape too."""
        names = [name for array in kernel.reads for name in array.names]
        tried = 0
        for i, array in enumerate(kernel.reads):
            for dimension, name in enumerate(array.names):
                if isinstance(name, int) or names.count(name) > 1:
                    given = tensors(kernel)
                    given[i] = torch.cat([given[i], given[i]], dimension)
                    given[i] = given[i].contiguous(memory_format=array.layout)
                    with pytest.raises(Unfit, match=r"is of shape|no multiple|more than"):
                        checked(kernel, given)
                    tried += 1
        assert tried > 3

    def test_of_another_number_of_dimensions(self, kernel):
        self.refuse(kernel, lambda t: t[None], "is of shape")
        self.refuse(kernel, lambda t: t.flatten()[0], "is of shape")

    def test_empty(self, kernel):
        self.refuse(kernel, lambda t: t[:0], "is of shape|positive")

    def test_with_gaps_between_its_elements(self, kernel):
        self.refuse(kernel, lambda t: torch.stack([t, t], -1)[..., 0], "strides")

    def test_transposed_in_memory(self, kernel):
        def turned(t):
            return t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)

        images = lambda a: a.names[0] == "images" and len(a.names) == 4  # noqa: E731
        self.refuse(kernel, turned, "strides", images)

    def test_expanded(self, kernel):
        self.refuse(kernel, lambda t: t[:1].expand(t.shape), "strides", lambda a: a.names[0] != 1)

    def test_not_yet_negated(self, kernel):
        self.refuse(kernel, torch._neg_view, "strides")

    def test_missing(self, kernel):
        self.refuse(kernel, lambda t: None, "NoneType", lambda array: not array.optional)

    def test_missing_where_another_is_there(self, kernel):
        self.refuse(kernel, lambda t: None, "together", lambda array: array.beside)

    def test_a_class_of_its_own(self, kernel):
        class Strange(torch.Tensor):
            pass

        self.refuse(kernel, lambda t: t.as_subclass(Strange), "is a Strange")

    def test_memory_that_was_freed(self, kernel):
        for i in range(len(kernel.reads)):
            given = tensors(kernel)
            given[i].untyped_storage().resize_(0)
            with pytest.raises(Unfit, match="freed"):
                checked(kernel, given)(ctypes.CDLL(None), eps=1e-5, seed=0)


@pytest.mark.parametrize(
    ("kernel", "changed", "told"),
    [
        (kernels.NORM_GELU_FORWARD, {"channels": 33}, "channels = 33 is no multiple of 4"),
        (kernels.WINOGRAD_CONVOLUTION, {"inputs": 48}, "inputs = 48 is no multiple of 32"),
        (kernels.WINOGRAD_WEIGHT_GRADIENT, {"outputs": 16}, "outputs = 16 is no multiple of 32"),
        (kernels.RESIDUAL_BLOCK_FORWARD, {"inputs": 48}, "inputs = 48 is no multiple of 32"),
        (kernels.RESIDUAL_BLOCK_BACKWARD, {"outputs": 48}, "outputs = 48 is no multiple of 32"),
        (kernels.NORM_GELU_BACKWARD, {"channels": 0}, "number of channels has to be positive"),
    ],
)
def test_sizes_that_a_kernel_cannot_take(kernel, changed, told, monkeypatch):
    for name, size in changed.items():
        monkeypatch.setitem(SIZES, name, size)
    with pytest.raises(Unfit, match=told):
        checked(kernel, tensors(kernel))


def test_more_pixels_than_are_counted_with_32_bits(monkeypatch):
    """An image of 4096 x 4097 pixels has 1 GB; here a smaller number is too many."""
    assert kernels.PIXELS * 2 * 32 < 2**31, "positions of the 32 images of a strip, with borders"
    monkeypatch.setattr(kernels, "PIXELS", 11)
    with pytest.raises(Unfit, match="more than 11 pixels"):
        checked(kernels.RESIDUAL_BLOCK_FORWARD, tensors(kernels.RESIDUAL_BLOCK_FORWARD))


def test_the_identity_keeps_the_number_of_channels(monkeypatch):
    kernel = kernels.RESIDUAL_BLOCK_FORWARD
    checked(kernel, [*tensors(kernel)[:-2], None, None])
    monkeypatch.setitem(SIZES, "outputs", 64)
    with pytest.raises(Unfit, match="without skip_weight, inputs and outputs have to be equal"):
        checked(kernel, [*tensors(kernel)[:-2], None, None])


@pytest.mark.parametrize("rate", [1.0, 1.5, -0.1, float("nan")])
def test_a_dropout_rate_that_is_none(rate):
    kernel = kernels.NORM_GELU_FORWARD
    with pytest.raises(Unfit, match="dropout rate"):
        checked(kernel, tensors(kernel), rate=rate)


def test_a_number_of_groups_that_is_none():
    kernel = kernels.NORM_GELU_FORWARD
    for groups in (0, -4):
        with pytest.raises(Unfit, match="groups has to be positive"):
            checked(kernel, tensors(kernel), groups=groups)


def test_a_type_without_kernel():
    kernel = kernels.NORM_GELU_FORWARD
    with pytest.raises(Unfit, match=r"no kernel for torch\.float64"):
        checked(kernel, tensors(kernel), torch.float64)


def test_results_do_not_follow_the_type_and_device_of_the_process():
    from conceptspace.engine.native.compiling import native

    if native().library is None:
        pytest.skip(native().reason)
    kernel = kernels.NORM_GELU_FORWARD
    call = checked(kernel, tensors(kernel))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            results = call(native().library, eps=1e-5, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [(t.dtype, t.device.type) for t in results] == [(torch.float32, "cpu")] * 3
