"""What each kernel takes and gives; its C++ function has the same names in the same order."""

from __future__ import annotations

from conceptspace.engine.native.interface import BF16, Array, Condition, Kernel, Numbers

BLOCK = 32
"""Channels that the kernels of convolutions take together."""
PIXELS = 2**24
"""The residual block's kernel counts the positions of some images with 32 bits."""


def _multiple(name: str, of: int | str) -> Condition:
    """``name`` is a multiple of a number or of another size."""

    def condition(found: Numbers) -> str | None:
        divisor = found[of] if isinstance(of, str) else of
        whole = found[name] % divisor == 0
        return None if whole else f"{name} = {found[name]:.0f} is no multiple of {divisor:.0f}"

    return condition


def _rate(found: Numbers) -> str | None:
    rate = found["rate"]
    return None if 0 <= rate < 1 else f"a dropout rate of {rate} is not in [0, 1)"


def _identity(found: Numbers) -> str | None:
    right = found["skip_weight"] or found["inputs"] == found["outputs"]
    return None if right else "without skip_weight, inputs and outputs have to be equal"


def _pixels(found: Numbers) -> str | None:
    return None if found["height"] * found["width"] <= PIXELS else f"more than {PIXELS} pixels"


IMAGE = "images channels height width"
_X, _E = Array("x", IMAGE, None, innermost=True), Array("e", "images channels", optional=True)
_NORM = (Array("weight", "channels"), Array("bias", "channels"))
_STATISTICS = (Array("mean", "images groups"), Array("rstd", "images groups"))
_NORM_SIZES = ("images", "height", "width", "channels", "groups")
_NORM_CONDITIONS = (_multiple("channels", "groups"), _rate)

NORM_GELU_FORWARD = Kernel(
    "norm_gelu_forward",
    reads=(_X, _E, *_NORM),
    writes=(Array("out", IMAGE, None, innermost=True), *_STATISTICS),
    sizes=_NORM_SIZES,
    settings=("eps", "rate", "seed"),
    conditions=_NORM_CONDITIONS,
)
NORM_GELU_BACKWARD = Kernel(
    "norm_gelu_backward",
    reads=(Array("grad", IMAGE, None, innermost=True), _X, _E, *_NORM, *_STATISTICS),
    writes=(
        Array("grad_x", IMAGE, None, innermost=True),
        Array("grad_norm", "2 images channels"),
        Array("grad_e", "images channels", beside="e"),
    ),
    sizes=_NORM_SIZES,
    settings=("rate", "seed"),
    conditions=_NORM_CONDITIONS,
)


def _convolution(name: str, inputs: str, taps: int, prefix: str) -> tuple[Array, Array]:
    """Weight and bias of one of the block's convolutions, or, with a prefix, their gradients."""
    skip = name == "skip"
    weight = Array(
        f"{prefix}{name}_weight",
        f"outputs {inputs} {taps} {taps}",
        BF16,
        innermost=True,
        optional=skip and not prefix,
        beside="skip_weight" if skip and prefix else "",
    )
    bias = Array(
        f"{prefix}{name}_bias",
        "outputs",
        BF16,
        optional=skip and not prefix,
        beside="skip_weight" if skip else "",
    )
    return weight, bias


def _block_parameters(prefix: str = "") -> tuple[Array, ...]:
    norms = [
        Array(f"{prefix}{name}_{which}", size)
        for name, size in (("norm1", "inputs"), ("norm2", "outputs"))
        for which in ("weight", "bias")
    ]
    return (
        *norms,
        *_convolution("conv1", "inputs", 3, prefix),
        *_convolution("conv2", "outputs", 3, prefix),
        *_convolution("skip", "inputs", 1, prefix),
    )


_BLOCK_X = Array("x", "images inputs height width", BF16, innermost=True)
_BLOCK_E = Array("e", "images outputs", optional=True)
_BLOCK_RESULT = "images outputs height width"
_MIDDLE = Array("middle", _BLOCK_RESULT, BF16, innermost=True)
_BLOCK_STATISTICS = Array("statistics", "4 images groups")
_BLOCK_SIZES = ("images", "height", "width", "inputs", "outputs", "groups")
_BLOCK_CONDITIONS = (
    *(_multiple(name, of) for name in ("inputs", "outputs") for of in (BLOCK, "groups")),
    _identity,
    _pixels,
    _rate,
)

RESIDUAL_BLOCK_FORWARD = Kernel(
    "residual_block_forward",
    reads=(_BLOCK_X, _BLOCK_E, *_block_parameters()),
    writes=(_MIDDLE, Array("out", _BLOCK_RESULT, BF16, innermost=True), _BLOCK_STATISTICS),
    sizes=_BLOCK_SIZES,
    settings=("eps", "rate", "seed"),
    conditions=_BLOCK_CONDITIONS,
)
RESIDUAL_BLOCK_BACKWARD = Kernel(
    "residual_block_backward",
    reads=(
        Array("grad", _BLOCK_RESULT, BF16, innermost=True),
        *(_BLOCK_X, _BLOCK_E, _MIDDLE, _BLOCK_STATISTICS),
        *_block_parameters(),
    ),
    writes=(
        Array("grad_x", "images inputs height width", BF16, innermost=True),
        Array("grad_e", "images outputs", beside="e"),
        *_block_parameters("grad_"),
    ),
    sizes=_BLOCK_SIZES,
    settings=("rate", "seed"),
    conditions=_BLOCK_CONDITIONS,
)

_TAPS = "3 3 inputs outputs"
_CONVOLVED = Array("x", "images inputs height width", innermost=True)
_CONVOLUTION_SIZES = ("images", "height", "width", "inputs", "outputs")
_CONVOLUTION_CONDITIONS = tuple(_multiple(name, BLOCK) for name in ("inputs", "outputs"))

WINOGRAD_CONVOLUTION = Kernel(
    "winograd_convolution",
    reads=(_CONVOLVED, Array("weight", _TAPS), Array("bias", "outputs", optional=True)),
    writes=(Array("out", "images outputs height width", innermost=True),),
    sizes=_CONVOLUTION_SIZES,
    conditions=_CONVOLUTION_CONDITIONS,
)
WINOGRAD_WEIGHT_GRADIENT = Kernel(
    "winograd_weight_gradient",
    reads=(Array("grad", "images outputs height width", innermost=True), _CONVOLVED),
    writes=(Array("grad_weight", _TAPS),),
    sizes=_CONVOLUTION_SIZES,
    conditions=_CONVOLUTION_CONDITIONS,
)

KERNELS = (
    NORM_GELU_FORWARD,
    NORM_GELU_BACKWARD,
    WINOGRAD_CONVOLUTION,
    WINOGRAD_WEIGHT_GRADIENT,
    RESIDUAL_BLOCK_FORWARD,
    RESIDUAL_BLOCK_BACKWARD,
)
