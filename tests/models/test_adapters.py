"""Functions, flows and files of checkpoints as models."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from conceptspace.errors import UserError
from conceptspace.models.adapters.flow import from_flow
from conceptspace.models.adapters.function import from_function
from conceptspace.models.adapters.replay import replay
from conceptspace.models.generative import EditableCondition, Guidable, require
from conceptspace.models.noise import Noise
from conceptspace.recording.recorder import Recorder
from conceptspace.worlds.naming import named_space

SHAPE = (1, 2, 2)
PROMPTS = torch.tensor([[0.5], [-0.25]])


def noise(samples: int = 2) -> Noise:
    return Noise(0, "01", range(samples))


def target(h: torch.Tensor) -> torch.Tensor:
    return h[:, :, None, None].expand(-1, *SHAPE)


def straight(x, t, h):
    """The exact field of one image per prompt, (x1 - x) / (1 - t), which ends at the image."""
    return (target(h) - x) / (1 - t)[:, None, None, None]


class TestNoise:
    def test_samples_have_streams_of_their_own(self):
        many = Noise(0, "01", range(4))
        first, second = many(3, 2), many(5)
        last = Noise(0, "01", [3])
        assert torch.equal(last(3, 2), first[3:])
        assert torch.equal(last(5), second[3:])

    def test_it_is_standard_normal(self):
        drawn = Noise(3, "11", range(50))(400).flatten()
        assert abs(drawn.mean()) < 5 / math.sqrt(len(drawn))
        assert abs(drawn.std() - 1) < 5 / math.sqrt(2 * len(drawn))


def test_a_function_gets_noise_and_its_pixels_are_scaled():
    model = from_function(lambda h, z: h[:, :, None, None] + 0 * z, SHAPE, pixel_range=(-1.0, 1.0))
    made = model(PROMPTS, noise())
    torch.testing.assert_close(made, target((PROMPTS + 1) / 2))
    bright = from_function(lambda h, z: z + 9, SHAPE, pixel_range=(0.0, 1.0))
    assert torch.equal(bright(PROMPTS, noise()), torch.ones(2, *SHAPE))


def test_without_a_range_pixels_of_a_function_are_not_cut_but_refused(tmp_path):
    model = from_function(lambda h, z: z.tanh(), SHAPE)
    assert model(PROMPTS, noise()).min() < 0
    space = named_space(
        {"hue": ("red", "blue"), "side": ("left", "right")}, held_out=[("blue", "right")]
    )
    with (
        Recorder(tmp_path / "r", space, lambda images: images, samples=4) as recorder,
        pytest.raises(UserError, match=r"not \[0, 1\] \(take \(x \+ 1\) / 2\)"),
    ):
        recorder.checkpoint(1, model)


class TestFlow:
    def test_a_straight_field_ends_at_its_image(self):
        made = from_flow(straight, SHAPE, steps=7)(PROMPTS, noise())
        torch.testing.assert_close(made, target((PROMPTS + 1) / 2))

    def test_methods_that_do_not_exist_are_refused(self):
        unchecked = from_flow.__wrapped__ if hasattr(from_flow, "__wrapped__") else from_flow
        with pytest.raises(UserError, match="a flow has the method euler or heun, not 'Heun'"):
            unchecked(straight, SHAPE, method="Heun")

    @pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
    def test_methods_have_their_order(self, method, order):
        # dx/dt = -x from t = 0 to 1 shrinks the noise by e
        errors = []
        for steps in (20, 40):
            flow = from_flow(
                lambda x, t, h: -x, SHAPE, steps=steps, method=method, pixel_range=(-9.0, 9.0)
            )
            exact = (noise()(*SHAPE) / math.e + 9) / 18
            errors.append((flow(PROMPTS, noise()) - exact).abs().max().item())
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)

    def test_time_may_run_backwards(self):
        def backwards(x, t, h):
            return -straight(x, 1 - t, h)

        made = from_flow(backwards, SHAPE, steps=7, times=(1.0, 0.0))(PROMPTS, noise())
        torch.testing.assert_close(made, target((PROMPTS + 1) / 2))

    def test_a_null_prompt_makes_guidance(self):
        plain = from_flow(straight, SHAPE, steps=3)
        assert not isinstance(plain, Guidable)
        flow = from_flow(straight, SHAPE, steps=3, null=torch.zeros(1))
        assert isinstance(flow, Guidable)
        for weight, ends in ((0.0, 0 * PROMPTS), (1.0, PROMPTS), (2.0, 2 * PROMPTS)):
            made = flow.guided(weight)(PROMPTS, noise())
            torch.testing.assert_close(made, target((ends + 1) / 2))

    def test_what_is_refused(self):
        with pytest.raises(UserError, match="1 step or more, not 0"):
            from_flow(straight, SHAPE, steps=0)
        with pytest.raises(UserError, match="as a tensor, not texts"):
            from_flow(straight, SHAPE)(["red"], noise(1))


class TestReplay:
    def test_by_step_and_only_what_is_wanted(self):
        paths = [Path(f"run2/model-{step}.pt") for step in (1000, 5, 30)]
        loaded = []
        for step, _model in replay(paths, lambda path: loaded.append(path.name), skip={30}):
            assert len(loaded) == {5: 1, 1000: 2}[step]
        assert loaded == ["model-5.pt", "model-1000.pt"]

    @pytest.mark.parametrize(
        ("path", "step"),
        [("checkpoint-00400", 400), ("epoch=3-step=70.ckpt", 70), ("v2/step_8.safetensors", 8)],
    )
    def test_steps_of_usual_names(self, path, step):
        assert [s for s, _ in replay([path], lambda p: p)] == [step]

    @pytest.mark.parametrize(
        ("paths", "message"),
        [
            ([], "no checkpoints to replay"),
            (["last.pt"], "the name of last.pt holds no step"),
            (["a-5.pt", "b-05.pt"], "both of step 5"),
        ],
    )
    def test_names_without_an_order_are_refused(self, paths, message):
        with pytest.raises(UserError, match=message):
            replay(paths, lambda path: path)


def test_a_lacking_ability_is_named():
    with pytest.raises(UserError) as refused:
        require(from_flow(straight, SHAPE), EditableCondition, "steering")
    assert str(refused.value) == (
        "the protocol steering needs a model with condition embeddings that can be edited "
        "(conceptspace.EditableCondition), which Flow is not"
    )


NAMES = """
    epoch=3-step=400.ckpt epoch=3-step=400-v1.ckpt weights-400.h5 400.pt2 ckpt400.pt
    model-400-fp16.safetensors step-400-ema0.999.pt checkpoint-400 epoch3-000400.pt
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_the_step_in_a_name_is_found_beside_other_numbers(name):
    assert [step for step, _ in replay([name], lambda path: path)] == [400]
