"""Every kernel on random shapes, in a process whose memory is watched; see test_sanitizers.py.

Run as: exercise.py float32|bfloat16|emulated|tiles rounds [planted]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conceptspace.engine import fusible
from conceptspace.engine.convolution import convolution
from conceptspace.engine.native import compiling, kernels
from conceptspace.engine.native.compiling import native
from conceptspace.engine.operations import norm_gelu
from conceptspace.engine.residual_block import BlockParameters, fused_residual_block

SANITIZED = [
    "-O1",
    "-g",
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
]
SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32 - 1)
RATES = st.sampled_from([0.0, 0.3, 1 - 2**-40])


def image(images, channels, height, width, dtype, source):
    x = torch.randn(images, channels, height, width, generator=source).to(dtype)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def differentiate(y, name):
    assert y is not None, "the kernel was not used"
    assert y.grad_fn.name() == name, "the kernel was not used"
    y.float().square().sum().backward()


def normed(dtype):
    @given(SIZES, SIZES, SIZES, st.sampled_from([1, 2, 6, 8, 24, 32, 64]), RATES, SEEDS, st.data())
    def check(images, height, width, channels, rate, seed, data):
        groups = data.draw(st.sampled_from([g for g in (1, 2, 4, 8) if channels % g == 0]))
        source = torch.Generator().manual_seed(seed)
        x = image(images, channels, height, width, dtype, source)
        weight, bias = torch.randn(2, channels, generator=source).requires_grad_()
        e = torch.randn(images, channels, generator=source) if data.draw(st.booleans()) else None
        y = norm_gelu(x, weight, bias, groups=groups, embedding=e, dropout=rate)
        differentiate(y, "_FusedBackward")

    return check


def convolved():
    widths = st.sampled_from([32, 64, 96])

    @given(SIZES, SIZES, SIZES, widths, widths, SEEDS)
    def check(images, height, width, inputs, outputs, seed):
        source = torch.Generator().manual_seed(seed)
        x = image(images, inputs, height, width, torch.float32, source)
        weight = torch.randn(outputs, inputs, 3, 3, generator=source).requires_grad_()
        bias = torch.randn(outputs, generator=source).requires_grad_()
        differentiate(convolution(x, weight, bias), "_ConvolutionBackward")

    return check


def block():
    widths = st.sampled_from([32, 64, 96])

    @given(SIZES, SIZES, SIZES, widths, widths, RATES, SEEDS, st.booleans())
    def check(images, height, width, inputs, outputs, rate, seed, embedded):
        source = torch.Generator().manual_seed(seed)

        def parameter(*shape, dtype=torch.bfloat16):
            t = torch.randn(shape, generator=source).to(dtype)
            t = t.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else t
            return t.requires_grad_()

        norms = [parameter(n, dtype=torch.float32) for n in (inputs, inputs, outputs, outputs)]
        wide = [parameter(outputs, n, 3, 3) for n in (inputs, outputs)]
        skip = [parameter(outputs, inputs, 1, 1), parameter(outputs)]
        parameters = BlockParameters(
            *norms, wide[0], parameter(outputs), wide[1], parameter(outputs),
            *(skip if inputs != outputs else (None, None)),
        )  # fmt: skip
        x = image(images, inputs, height, width, torch.bfloat16, source)
        e = torch.randn(images, outputs, generator=source).requires_grad_() if embedded else None
        y = fused_residual_block(x, e, parameters, groups=4, dropout=rate)
        differentiate(y, "_FusedBlockBackward")

    return check


def planted(what, tiles):
    """What the checks refuse, told to a kernel all the same: a row too many, or a rate of 2."""
    kernel = kernels.RESIDUAL_BLOCK_FORWARD if tiles else kernels.NORM_GELU_FORWARD
    sizes = {"images": 1, "height": 3, "width": 3, "channels": 32, "inputs": 32, "outputs": 32}
    tensors = [
        torch.ones([sizes.get(str(name), name) for name in array.names])
        .to(array.dtype or torch.float32)
        .contiguous(memory_format=array.layout)
        for array in kernel.reads
    ]
    call = kernel.checked(tensors, groups=4, rate=0.0)
    call.found.update({"overflow": {"height": 4}, "undefined": {"rate": 2.0}}[what])
    call(fusible.loaded(), eps=1e-5, seed=0)


def main(kind, rounds, *faults):
    emulated = ["-include", str(Path(__file__).parent / "emulated_tiles.hpp")]
    compiling.FLAGS = [*compiling.FLAGS, *SANITIZED, *(emulated if kind == "emulated" else [])]
    made = native()
    tiled = kind in ("emulated", "tiles")
    if made.library is None or (tiled and not made.tiles):
        sys.exit(f"no kernels to watch: {made.reason}")
    torch.set_num_threads(2)
    for fault in faults:
        planted(fault, tiled)
    dtype = torch.float32 if kind == "float32" else torch.bfloat16
    checks = [block()] if tiled else [normed(dtype)]
    for check in [*checks, convolved()] if kind == "float32" else checks:
        quiet = list(HealthCheck)
        settings(max_examples=int(rounds), deadline=None, database=None, derandomize=True,
                 suppress_health_check=quiet)(check)()  # fmt: skip
    print("nothing found")


if __name__ == "__main__":
    main(*sys.argv[1:])
