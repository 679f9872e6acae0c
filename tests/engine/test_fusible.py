"""Whatever looks at single operations or modules finds them, and the results are the same."""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from conceptspace.engine.operations import norm_gelu
from fused import (
    ERRORS,
    FUSED,
    KERNELS,
    OPERATIONS,
    PRECISIONS,
    assert_near,
    embeddings,
    image,
    nodes,
    outcome,
    plain,
    trunk,
)

pytestmark = [
    pytest.mark.skipif(KERNELS.library is None, reason=KERNELS.reason),
    pytest.mark.usefixtures("kernels"),
]


def test_the_kernels_are_used_at_all():
    assert nodes(outcome(trunk())[0]) & FUSED == OPERATIONS[torch.float32]


@pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16")
def test_the_block_is_used_at_all():
    made = outcome(trunk(torch.bfloat16))[0]
    assert nodes(made) & FUSED == OPERATIONS[torch.bfloat16]


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

    @pytest.mark.parametrize("name", ["conv1", "conv2"])
    def test_padding_of_another_kind(self, precision, name):
        made = trunk(precision)
        before = outcome(made)[0]
        layers(made)[name].padding_mode = "circular"
        layers(made)[name]._reversed_padding_repeated_twice = [1, 1, 1, 1]
        with plain():
            expected = outcome(made)
        assert_near(outcome(made), expected, ERRORS[precision])
        assert not torch.allclose(expected[0], before, atol=1e-3)

    def test_no_bias(self, precision):
        made, zero = trunk(precision), trunk(precision)
        layers(made)["conv2"].bias = None
        layers(zero)["conv2"].bias.data.zero_()
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
