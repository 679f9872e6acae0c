"""The convolution by fewer multiplications against PyTorch's own in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from conceptspace.engine.convolution import convolution
from conceptspace.engine.native.compiling import native
from fused import assert_near, plain

needs_kernels = pytest.mark.skipif(native().library is None, reason=native().reason)


def arguments(images=3, inputs=32, outputs=64, height=8, width=8, dtype=torch.float32):
    source = torch.Generator().manual_seed(0)
    x = torch.randn(images, inputs, height, width, generator=source) + 0.5
    weight = torch.randn(outputs, inputs, 3, 3, generator=source) / (3 * inputs**0.5)
    bias = torch.randn(outputs, generator=source)
    grad = torch.randn(images, outputs, height, width, generator=source)
    layout = torch.channels_last
    x, weight = (t.to(dtype).contiguous(memory_format=layout) for t in (x, weight))
    return [t.requires_grad_() for t in (x, weight, bias.to(dtype))], grad.to(dtype)


def outcome(function, inputs, grad):
    y = function(*inputs)
    return [y, *torch.autograd.grad(y, inputs, grad)]


def exact(inputs, grad):
    inputs = [t.detach().double().requires_grad_() for t in inputs]
    return outcome(lambda *given: F.conv2d(*given, padding=1), inputs, grad.double())


@needs_kernels
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (4, 4), (8, 8), (9, 6), (16, 16)])
@pytest.mark.parametrize("widths", [(32, 32), (64, 32), (32, 96)])
@pytest.mark.parametrize("images", [1, 5, 40])
def test_result_and_gradients_are_those_of_a_convolution(images, widths, size):
    inputs, grad = arguments(images, *widths, *size)
    found = outcome(convolution, inputs, grad)
    assert found[0].grad_fn.name() == "_ConvolutionBackward"
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert_near(found, exact(inputs, grad), 1e-5)


@needs_kernels
def test_only_the_gradients_that_are_needed_are_computed():
    (x, weight, bias), grad = arguments()
    for inputs in ((x.detach(), weight, bias), (x, weight.detach(), bias.detach())):
        needed = [t for t in inputs if t.requires_grad]
        found = torch.autograd.grad(convolution(*inputs), needed, grad)
        whole = dict(zip((x, weight, bias), exact((x, weight, bias), grad)[1:], strict=True))
        assert_near(found, [whole[t] for t in needed], 1e-5)


@needs_kernels
def test_an_image_does_not_depend_on_its_neighbours_or_on_threads():
    """To the byte: runs resume, and batches are cut, as memory allows."""
    (x, weight, bias), grad = arguments(images=37)
    whole, *gradients = outcome(convolution, [x, weight, bias], grad)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            again, *found = outcome(convolution, [x, weight, bias], grad)
            assert torch.equal(again, whole)
            assert torch.equal(found[0], gradients[0])
            assert torch.equal(found[1], gradients[1])
    finally:
        torch.set_num_threads(threads)
    for part in (slice(0, 1), slice(5, 18), slice(36, 37)):
        assert torch.equal(convolution(x[part], weight, bias), whole[part])


@needs_kernels
def test_a_number_that_is_not_finite_stays_seen():
    (x, weight, bias), _ = arguments()
    for value in (torch.nan, torch.inf):
        spoiled = x.detach().clone(memory_format=torch.preserve_format)
        spoiled[1, 3, 4, 4] = value
        found = convolution(spoiled, weight, bias)
        assert not found[1, :, 3:6, 3:6].isfinite().any()
        assert torch.equal(found[[0, 2]], convolution(x, weight, bias)[[0, 2]])


@needs_kernels
@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"inputs": 16}, id="widths"),
        pytest.param({"dtype": torch.float64}, id="double"),
        pytest.param({"dtype": torch.bfloat16}, id="half"),
        pytest.param({"images": 0}, id="no images"),
    ],
)
def test_what_no_kernel_takes_is_pytorch_s(given):
    inputs, grad = arguments(**given)
    found = outcome(convolution, inputs, grad)
    assert found[0].grad_fn.name() != "_ConvolutionBackward"
    expected = outcome(lambda *t: F.conv2d(*t, padding=1), inputs, grad)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@needs_kernels
def test_contiguous_images_and_their_gradients():
    inputs, grad = arguments()
    inputs[0] = inputs[0].detach().contiguous().requires_grad_()
    found = outcome(convolution, inputs, grad)
    assert found[0].grad_fn.name() != "_ConvolutionBackward"
    assert_near(found, exact(inputs, grad), 1e-5)


def test_without_kernels_it_is_pytorch_s():
    inputs, grad = arguments()
    with plain():
        found = outcome(convolution, inputs, grad)
    assert found[0].grad_fn.name() != "_ConvolutionBackward"
