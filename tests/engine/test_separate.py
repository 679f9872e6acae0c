"""Where the kernels do not fit, separate operations serve or refuse; gradients of gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from conceptspace.engine.fusible import dropout_mask
from conceptspace.engine.operations import norm_gelu
from conceptspace.engine.replacing import fuse
from conceptspace.models.unet import ResidualBlock
from fused import (
    KERNELS,
    assert_near,
    embeddings,
    image,
    nodes,
    plain,
    trunk,
)

pytestmark = [
    pytest.mark.skipif(KERNELS.library is None, reason=KERNELS.reason),
    pytest.mark.usefixtures("kernels"),
]


class TestGradientsOfGradients:
    """In float64 separate operations are exact; those of the kernels begin in float32."""

    def twice(self, function, inputs):
        """The gradient of a function of gradients."""
        y = function(*inputs)
        grads = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        total = sum((g.double() ** 2).sum() for g in grads) + (grads[0].double() * 3).sum()
        return [*grads, *torch.autograd.grad(total, inputs)]

    def compare(self, function, inputs, error, name):
        assert name in nodes(function(*inputs))
        found = self.twice(function, inputs)
        with plain():
            assert name not in nodes(function(*inputs))
            expected = self.twice(function, inputs)
        assert_near(found, expected, error)

    def test_norm_gelu(self):
        inputs = [image(32), torch.rand(32) + 0.5, torch.randn(32), torch.randn(2, 32)]
        inputs = [t.requires_grad_() for t in inputs]
        self.compare(
            lambda x, w, b, e: norm_gelu(x, w, b, groups=4, embedding=e),
            inputs, 1e-4, "_FusedBackward",
        )  # fmt: skip

    @pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16")
    @pytest.mark.parametrize("outputs", [32, 64])
    def test_residual_block(self, outputs):
        torch.manual_seed(0)
        block = fuse(ResidualBlock(32, outputs, "group", 4, 0.0))
        for parameter in block.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        for layer in (block.conv1, block.conv2, block.skip):
            layer.to(torch.bfloat16)
        inputs = [image(32, dtype=torch.bfloat16), torch.randn(2, outputs), *block.parameters()]
        inputs = [t.requires_grad_() for t in inputs]
        self.compare(lambda x, e, *_: block(x, e), inputs, 5e-2, "_FusedBlockBackward")

    def test_an_input_that_was_computed_from_another(self):
        """The way through it is counted once."""

        def function(w):
            x = image(32) * w[None, :, None, None]
            return norm_gelu(x, w, torch.zeros(32), groups=4)

        self.compare(function, [torch.rand(32).requires_grad_()], 1e-4, "_FusedBackward")

    def test_with_dropout_the_mask_is_the_same(self):
        x = image(32, 8).requires_grad_()
        weight, bias = torch.ones(32), torch.randn(32).requires_grad_()
        y = norm_gelu(x, weight, bias, groups=4, dropout=0.4)
        grads = [torch.ones_like(y), (y.detach() == 0).float()]
        once = [torch.autograd.grad(y, (x, bias), g, retain_graph=True) for g in grads]
        for g, expected in zip(grads, once, strict=True):
            found = torch.autograd.grad(y, (x, bias), g, retain_graph=True, create_graph=True)
            assert_near(found, expected, 1e-4)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_mask_by_hand(self, rate):
        x = image(8, 5)
        seed = 2**31 + 12345
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("conceptspace.engine.operations.dropout_seed", lambda _: seed)
            y = norm_gelu(x, torch.ones(8), torch.full((8,), 9.0), groups=2, dropout=rate)
        whole = norm_gelu(x, torch.ones(8), torch.full((8,), 9.0), groups=2)
        torch.testing.assert_close(y, whole * dropout_mask(x.shape, rate, seed))


@pytest.mark.usefixtures("untyped")
class TestWhatDoesNotFit:
    """It is served by PyTorch's own operations, or refused by them."""

    def test_channels(self):
        for channels in (1, 2, 4):
            with pytest.raises(RuntimeError, match="to have 3 channels, but got"):
                trunk()(image(channels), embeddings(trunk()))

    @pytest.mark.parametrize("size", [31, 1, 33])
    def test_parameters(self, size):
        good, bad = torch.ones(32), torch.ones(size)
        for weight, bias in ((good, bad), (bad, good)):
            with pytest.raises(RuntimeError, match=r"Expected (weight|bias) to be a vector"):
                norm_gelu(image(32), weight, bias, groups=4)

    @pytest.mark.parametrize("groups", [0, 5, 64])
    def test_groups(self, groups):
        with pytest.raises((RuntimeError, ZeroDivisionError), match=r"divisible|by zero"):
            norm_gelu(image(32), torch.ones(32), torch.ones(32), groups=groups)

    def test_embedding_of_one_row_is_added_to_every_image(self):
        e = torch.randn(1, 32)
        given = (image(32), torch.ones(32), torch.zeros(32))
        one = norm_gelu(*given, groups=4, embedding=e)
        torch.testing.assert_close(one, norm_gelu(*given, groups=4, embedding=e.expand(2, 32)))
        with pytest.raises(RuntimeError, match="must match the size"):
            norm_gelu(*given, groups=4, embedding=torch.randn(3, 32))

    def test_bias_of_another_type(self):
        weight, bias = torch.ones(32), torch.randn(32)
        with pytest.raises(RuntimeError, match=r"(?i)type"):
            norm_gelu(image(32), weight, bias.double(), groups=4)

    def test_embedding_of_another_type(self):
        given = (image(32), torch.ones(32), torch.zeros(32))
        e = torch.randn(2, 32)
        for dtype in (torch.float64, torch.bfloat16):
            found = norm_gelu(*given, groups=4, embedding=e.to(dtype))
            with plain():
                expected = norm_gelu(*given, groups=4, embedding=e.to(dtype))
            torch.testing.assert_close(found, expected)

    def test_rate_of_dropout(self):
        given = (image(32), torch.ones(32), torch.zeros(32))
        for rate in (-0.1, 1.1, float("nan")):
            with pytest.raises((ValueError, RuntimeError), match="between 0 and 1"):
                norm_gelu(*given, groups=4, dropout=rate)
        assert not norm_gelu(*given, groups=4, dropout=1.0).any()

    def test_parameters_on_another_device(self):
        meta = torch.ones(32, device="meta")
        with pytest.raises((RuntimeError, NotImplementedError)):
            norm_gelu(image(32), meta, meta, groups=4).sum().item()

    def test_no_images(self):
        made = trunk()
        assert made(image()[:0], [e[:0] for e in embeddings(made)]).shape == (0, 3, 6, 6)

    def test_images_that_are_not_yet_negated(self):
        x = image(32)
        given = {"weight": torch.ones(32), "bias": torch.randn(32), "groups": 4}
        found = norm_gelu(torch._neg_view(x), **given)
        torch.testing.assert_close(found, norm_gelu(-x, **given))
        y = norm_gelu(x.requires_grad_(), **given)
        grad = torch.randn(y.shape)
        pairs = [(torch._neg_view(grad), -grad), (grad.flip(0), grad.flip(0).contiguous())]
        for a, b in pairs:
            a, b = (torch.autograd.grad(y, x, g, retain_graph=True)[0] for g in (a, b))
            torch.testing.assert_close(a, b)

    def test_complex_and_whole_numbers(self):
        for dtype in (torch.complex64, torch.int64):
            with pytest.raises((RuntimeError, NotImplementedError)):
                norm_gelu(image(32).to(dtype), torch.ones(32), torch.ones(32), groups=4)

    def test_half_precision_and_double(self):
        for dtype, error in ((torch.float16, 1e-2), (torch.float64, 1e-5)):
            p = torch.ones(32, dtype=dtype)
            y = norm_gelu(image(32, dtype=dtype), p, p, groups=4)
            assert y.dtype == dtype
            expected = F.gelu(F.group_norm(image(32).double(), 4, p.double(), p.double()))
            assert_near([y], [expected], error)
