"""Whatever looks at single operations or modules finds them, and the results are the same."""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from conceptspace.diffusion import fusible
from conceptspace.diffusion.fusible import dropout_mask
from conceptspace.diffusion.operations import norm_gelu, thin_convolution
from conceptspace.diffusion.unet import ResidualBlock, UNetTrunk, channels_last
from conceptspace.native.library import Native
from emulated import kernels_with_tiles

KERNELS = kernels_with_tiles()
NONE = Native(None, "plain")
pytestmark = pytest.mark.skipif(KERNELS.library is None, reason=KERNELS.reason)
PRECISIONS = [
    torch.float32,
    pytest.param(
        torch.bfloat16,
        marks=pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16"),
    ),
]


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setattr(fusible, "native", lambda: KERNELS)


@pytest.fixture
def untyped():
    """Without the checks of the tests, which see other shapes and wrapped tensors sooner."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@contextmanager
def plain():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusible, "native", lambda: NONE)
        yield


def trunk(precision=torch.float32, dropout=0.0, channels=(32,)):
    torch.manual_seed(0)
    made = UNetTrunk(
        3, 3, channels=channels, blocks=1, heads=1, dropout=dropout, norm="group", groups=4
    )
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    for layer in made.wide_layers():
        layer.to(precision)
    return channels_last(made, None)


def image(channels=3, size=6, dtype=torch.float32):
    source = torch.Generator().manual_seed(1)
    x = torch.randn(2, channels, size, size, generator=source, dtype=torch.float32)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def embeddings(made):
    source = torch.Generator().manual_seed(2)
    widths = made.block_widths()
    return [torch.randn(2, width, generator=source, dtype=torch.float32) for width in widths]


def outcome(made, x=None, added=None):
    """Result and gradients."""
    x = image() if x is None else x
    y = made(x, embeddings(made) if added is None else added)
    made.zero_grad()
    y.square().sum().backward()
    return [y, *(p.grad for p in made.parameters())]


def assert_near(found, expected, error):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a.double() - b.double()).norm() <= error * b.double().norm() + 1e-7


def nodes(y):
    """Names of the operations that made y."""
    names, left = set(), [y.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            names.add(node.name())
            left.extend(parent for parent, _ in node.next_functions)
    return names


FUSED = {"_FusedBackward", "_FusedBlockBackward", "_ThinConvolutionBackward"}
ERRORS = {torch.float32: 2e-5, torch.bfloat16: 2e-2}


def test_the_kernels_are_used_at_all():
    assert nodes(outcome(trunk())[0]) & FUSED == {"_FusedBackward", "_ThinConvolutionBackward"}


@pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16")
def test_the_block_is_used_at_all():
    assert nodes(outcome(trunk(torch.bfloat16))[0]) & FUSED == FUSED


@pytest.mark.parametrize("precision", PRECISIONS)
class TestDefaults:
    def test_of_the_type(self, precision):
        made = trunk(precision)
        expected = outcome(made)
        torch.set_default_dtype(torch.float64)
        try:
            found = outcome(made)
        finally:
            torch.set_default_dtype(torch.float32)
        assert nodes(found[0]) & FUSED == nodes(expected[0]) & FUSED
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))

    def test_of_the_device(self, precision):
        made = trunk(precision, dropout=0.3)
        torch.manual_seed(0)
        expected = outcome(made)
        torch.manual_seed(0)
        given = image(), embeddings(made)
        with torch.device("meta"):
            found = outcome(made, *given)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def layers(made):
    block = made.down[0][0]
    return {
        "conv_in": made.conv_in,
        "conv_out": made.conv_out,
        "norm_out": made.norm_out,
        "norm1": block.norm1,
        "norm2": block.norm2,
        "conv1": block.conv1,
        "conv2": block.conv2,
        "skip": block.skip,
    }


LAYERS = ["conv_in", "conv_out", "norm_out", "norm1", "norm2", "conv1", "conv2", "skip"]
HOOKS = {
    "forward": lambda layer, seen: layer.register_forward_hook(lambda *_: seen.append(1)),
    "forward pre": lambda layer, seen: layer.register_forward_pre_hook(lambda *_: seen.append(1)),
    "backward": lambda layer, seen: layer.register_full_backward_hook(lambda *_: seen.append(1)),
    "backward pre": lambda layer, seen: layer.register_full_backward_pre_hook(
        lambda *_: seen.append(1)
    ),
}


@pytest.mark.parametrize("precision", PRECISIONS)
class TestLayers:
    @pytest.mark.parametrize("kind", HOOKS)
    @pytest.mark.parametrize("name", LAYERS)
    def test_hook(self, precision, name, kind):
        made, seen = trunk(precision), []
        expected = outcome(made)
        handle = HOOKS[kind](layers(made)[name], seen)
        found = outcome(made, image().requires_grad_())
        assert seen == [1]
        assert_near(found, expected, ERRORS[precision])
        handle.remove()
        outcome(made)
        assert seen == [1]

    @pytest.mark.parametrize("name", LAYERS)
    def test_hook_that_changes_the_result(self, precision, name):
        made = trunk(precision)
        expected = outcome(made)[0]
        layers(made)[name].register_forward_hook(lambda layer, given, result: 2 * result)
        assert not torch.allclose(outcome(made)[0], expected, atol=1e-3)

    def test_hook_on_all_modules(self, precision):
        made, seen = trunk(precision), []
        expected = outcome(made)
        handle = nn.modules.module.register_module_forward_hook(
            lambda layer, *_: seen.append(layer)
        )
        try:
            found = outcome(made)
        finally:
            handle.remove()
        assert {id(layer) for layer in layers(made).values()} <= {id(layer) for layer in seen}
        assert_near(found, expected, ERRORS[precision])

    @pytest.mark.parametrize("name", [name for name in LAYERS if name != "skip"])
    def test_parametrized(self, precision, name):
        made = trunk(precision)
        doubled = copy.deepcopy(made)
        layers(doubled)[name].weight.data *= 2

        class Twice(nn.Module):
            def forward(self, weight):
                return 2 * weight

        parametrize.register_parametrization(layers(made)[name], "weight", Twice())
        assert_near([outcome(made)[0]], [outcome(doubled)[0]], ERRORS[precision])

    @pytest.mark.parametrize("name", LAYERS)
    def test_wrapped(self, precision, name):
        """As adapters (LoRA) do: another module in the layer's place."""

        class Wrapped(nn.Module):
            def __init__(self, layer):
                super().__init__()
                self.layer = layer
                self.weight = getattr(layer, "weight", None)

            def forward(self, x):
                return 2 * self.layer(x)

        made, hooked = trunk(precision), trunk(precision)
        layers(hooked)[name].register_forward_hook(lambda layer, given, result: 2 * result)
        owner = made if hasattr(made, name) else made.down[0][0]
        if name == "conv1":
            pytest.skip("the trunk reads its own precision there")
        setattr(owner, name, Wrapped(getattr(owner, name)))
        assert_near([outcome(made)[0]], [outcome(hooked)[0]], ERRORS[precision])

    @pytest.mark.parametrize("name", LAYERS)
    def test_forward_replaced(self, precision, name):
        made = trunk(precision)
        layer, seen = layers(made)[name], []
        expected, forward = outcome(made), type(layer).forward
        layer.forward = lambda x: (seen.append(1), forward(layer, x))[1]
        assert_near(outcome(made), expected, ERRORS[precision])
        assert seen == [1]

    @pytest.mark.parametrize("name", ["conv_in", "conv_out", "conv1", "conv2"])
    def test_padding_of_another_kind(self, precision, name):
        made = trunk(precision)
        before = outcome(made)[0]
        layers(made)[name].padding_mode = "circular"
        layers(made)[name]._reversed_padding_repeated_twice = [1, 1, 1, 1]
        with plain():
            expected = outcome(made)
        assert_near(outcome(made), expected, ERRORS[precision])
        assert not torch.allclose(expected[0], before, atol=1e-3)

    @pytest.mark.parametrize("name", ["conv_in", "conv_out", "conv2"])
    def test_no_bias(self, precision, name):
        made, zero = trunk(precision), trunk(precision)
        layers(made)[name].bias = None
        layers(zero)[name].bias.data.zero_()
        assert_near([outcome(made)[0]], [outcome(zero)[0]], ERRORS[precision])

    def test_norms_that_differ(self, precision):
        made = trunk(precision)
        made.down[0][0].norm2.eps = 10.0
        with plain():
            expected = outcome(made)
        assert_near(outcome(made), expected, ERRORS[precision])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.usefixtures("untyped")
class TestTransforms:
    def test_functional_call(self, precision):
        made = trunk(precision)
        others = {k: 1.5 * v.detach() for k, v in made.named_parameters()}
        found = torch.func.functional_call(made, others, (image(), embeddings(made)))
        made.load_state_dict(others)
        assert torch.equal(found, made(image(), embeddings(made)))

    def test_grad(self, precision):
        made = trunk(precision)
        parameters = {k: v.detach() for k, v in made.named_parameters()}

        def loss(parameters):
            given = (image(), embeddings(made))
            return torch.func.functional_call(made, parameters, given).square().sum()

        found = torch.func.grad(loss)(parameters)
        _, *expected = outcome(made)
        assert_near(list(found.values()), expected, ERRORS[precision])

    @pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
    def test_vmap(self, precision):
        made, added = trunk(precision), embeddings(trunk(precision))
        batch = torch.stack([image(), image() + 1])
        found = torch.vmap(lambda x: made(x, added))(batch)
        expected = [made(x.contiguous(memory_format=torch.channels_last), added) for x in batch]
        assert_near(list(found), expected, ERRORS[precision])

    @pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
    def test_forward_mode(self, precision):
        made, added = trunk(precision), embeddings(trunk(precision))
        tangent = torch.ones_like(image())
        with sdpa_kernel(SDPBackend.MATH):
            with plain():
                expected = torch.func.jvp(lambda x: made(x, added), (image(),), (tangent,))
            found = torch.func.jvp(lambda x: made(x, added), (image(),), (tangent,))
        assert_near(found, expected, 1e-6)
        with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
            dual = forward_ad.make_dual(image(), tangent)
            y = forward_ad.unpack_dual(made(dual, added))
            assert_near([y.primal, y.tangent], expected, 1e-6)

    @pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
    def test_gradients_of_a_batch_of_vectors(self, precision):
        """Of single operations: PyTorch has none of a norm of channels that are innermost."""
        block = trunk(precision).down[0][0]
        x = image(32, dtype=precision).requires_grad_()
        made = [
            norm_gelu(x, block.norm1.weight, block.norm1.bias, groups=4),
            thin_convolution(x, torch.ones(3, 32, 3, 3), torch.ones(3), torch.float32),
            *([block(x, torch.randn(2, 32))] if precision == torch.bfloat16 else []),
        ]
        for y in made:
            vectors = torch.stack([torch.ones_like(y), y.detach()])
            (found,) = torch.autograd.grad(y, x, vectors, is_grads_batched=True, retain_graph=True)
            expected = [torch.autograd.grad(y, x, v, retain_graph=True)[0] for v in vectors]
            assert_near(list(found), expected, ERRORS[precision])

    def test_autocast(self, precision):
        made = trunk(precision)
        with torch.autocast("cpu", torch.bfloat16):
            with plain():
                expected = made(image(), embeddings(made))
            assert torch.equal(made(image(), embeddings(made)), expected)

    def test_operations_that_are_counted(self, precision):
        made, counts = trunk(precision), []
        for how in (plain, lambda: contextmanager(lambda: (yield))()):
            with how(), FlopCounterMode(display=False) as counter:
                made(image(), embeddings(made))
            counts.append(counter.get_total_flops())
        assert counts[0] == counts[1] > 0

    def test_traced(self, precision):
        made, added = trunk(precision).requires_grad_(False), embeddings(trunk(precision))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(lambda x: made(x, added), image())
            x = image() + 1
            found = traced(x)
        assert_near([found], [made(x, added)], ERRORS[precision])

    def test_exported(self, precision):
        made = trunk(precision).eval()
        program = torch.export.export(made, (image(), embeddings(made)))
        x = image() + 1
        found = program.module()(x, embeddings(made))
        assert_near([found], [made(x, embeddings(made))], ERRORS[precision])


def test_compiled_code_is_of_separate_operations(untyped):
    made, graphs = trunk(), []

    def backend(graph, given):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(made, backend=backend, fullgraph=True)
    with torch.no_grad():
        found = compiled(image(), embeddings(made))
        assert_near([found], [made(image(), embeddings(made))], 2e-5)
    assert len(graphs) == 1


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

    @pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3)])
    def test_thin_convolution(self, inputs, outputs):
        given = [image(inputs), torch.randn(outputs, inputs, 3, 3) / 10, torch.randn(outputs)]
        self.compare(
            lambda x, w, b: thin_convolution(x, w, b, torch.float32),
            [t.requires_grad_() for t in given], 1e-4, "_ThinConvolutionBackward",
        )  # fmt: skip

    @pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16")
    @pytest.mark.parametrize("outputs", [32, 64])
    def test_residual_block(self, outputs):
        torch.manual_seed(0)
        block = channels_last(ResidualBlock(32, outputs, "group", 4, 0.0), None)
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
            patch.setattr("conceptspace.diffusion.operations.dropout_seed", lambda _: seed)
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
        with pytest.raises(RuntimeError, match="expected bias to be"):
            thin_convolution(image(3), torch.ones(32, 3, 3, 3), bad, torch.float32)

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
        with pytest.raises(RuntimeError, match=r"(?i)type"):
            thin_convolution(image(3), torch.ones(32, 3, 3, 3), bias.double(), torch.float32)

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
