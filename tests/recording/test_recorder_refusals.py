"""What a recorder refuses, in one sentence and before anything is stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from foreign import (
    LOUDER,
    SPACE,
    Painter,
    half,
    patches,
    recorder,
    unchecked,
)

from conceptspace.errors import Diverged, UserError
from conceptspace.files import read_table, write_table
from conceptspace.protocols.guidance import Guidance
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.store import Run
from conceptspace.worlds.naming import SpacePrompts


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("made", "message"),
        [
            (lambda p, n: torch.zeros(len(p), 3, 4), r"not float32 of shape \(4, 3, 4\)"),
            (lambda p, n: torch.zeros(2, 3, 4, 4), r"not float32 of shape \(2, 3, 4, 4\)"),
            (lambda p, n: torch.zeros(len(p), 3, 4, 4, dtype=torch.uint8), "not uint8"),
            (lambda p, n: torch.full((len(p), 3, 4, 4), 255.0), "divide bytes by 255"),
            (lambda p, n: torch.full((len(p), 3, 4, 4), -1.0), r"take \(x \+ 1\) / 2"),
            (lambda p, n: [1], "not list"),
            ("text", "is called with prompts and noise"),
        ],
    )
    def test_what_makes_no_images(self, tmp_path, made, message):
        with recorder(tmp_path / "run") as opened, pytest.raises(UserError, match=message):
            opened.checkpoint(2, made)

    def test_images_that_are_not_finite(self, tmp_path):
        with pytest.raises(Diverged, match="not finite"), recorder(tmp_path / "run") as opened:
            opened.checkpoint(2, lambda p, n: torch.full((len(p), 3, 4, 4), float("nan")))
        assert Run(tmp_path / "run").information()["status"] == "diverged"

    @pytest.mark.parametrize(
        ("protocol", "message"),
        [
            (Guidance([3.0]), "guidance needs a model with a null prompt"),
            (
                LatentIntervention(SpacePrompts(SPACE), "hue", "side", [1.0], [1.0]),
                "latent-intervention needs a model with condition embeddings that can be edited",
            ),
        ],
    )
    def test_a_model_without_the_ability_that_a_protocol_needs(self, tmp_path, protocol, message):
        with recorder(tmp_path / "run", protocols=[protocol]) as opened:
            with pytest.raises(UserError, match=message) as refused:
                opened.checkpoint(2, Painter())
            assert "Painter" in str(refused.value)
            assert opened.recorded == ()

    def test_prompts_that_a_protocol_cannot_change(self, tmp_path):
        encode = lambda name, count: [SPACE.describe(name)] * count  # noqa: E731
        message = "prompts that are vectors, and these are texts"
        opened = recorder(tmp_path / "run", prompts=encode)
        with opened, pytest.raises(UserError, match=message):
            opened.checkpoint(2, lambda prompts, noise: patches("00", len(prompts)))

    @pytest.mark.parametrize("prompts", [lambda c, n: torch.zeros(n + 1, 2), lambda c, n: "red"])
    def test_prompts_of_another_number(self, tmp_path, prompts):
        with pytest.raises(UserError, match="the prompts of class 00 are 4 rows"):
            recorder(tmp_path / "run", prompts=prompts)

    @pytest.mark.parametrize("step", [-1, 1.5, "2", None, True, 10**400])
    def test_steps_that_are_none(self, tmp_path, step):
        with recorder(tmp_path / "run") as opened, pytest.raises(UserError, match="whole number"):
            opened.checkpoint(step, Painter())

    @pytest.mark.parametrize("steps", [7, (step for step in range(9))])
    def test_plans_that_cannot_say_which_steps_they_have(self, tmp_path, steps):
        with unchecked(), pytest.raises(UserError, match="steps is a collection that says which"):
            recorder(tmp_path / "run", steps=steps)

    @pytest.mark.parametrize("batch_size", [0, -3, True, 2.0])
    def test_batches_of_no_images(self, tmp_path, batch_size):
        message = f"batch_size is a whole number from 1 on, not {batch_size}"
        with unchecked(), pytest.raises(UserError, match=message):
            recorder(tmp_path / "run", batch_size=batch_size)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"samples": 0}, "samples = 0 is not possible"),
            ({"samples": True}, "samples = True is not possible"),
            ({"seed": -1}, "seed = -1 is not possible"),
            ({"seed": 0.5}, "seed = 0.5 is not possible"),
        ],
    )
    def test_numbers_out_of_bounds(self, tmp_path, changes, message):
        with unchecked(), pytest.raises(UserError, match=message):
            recorder(tmp_path / "run", **changes)

    @pytest.mark.parametrize("value", [float("inf"), np.float32("nan"), (0.9, 0.99), None, {}])
    def test_settings_that_cannot_be_stored(self, tmp_path, value):
        with unchecked(), pytest.raises(UserError) as refused:
            recorder(tmp_path / "run", settings={"lr": value})
        assert "the setting 'lr' is " in str(refused.value)
        assert "are text, finite numbers, or true or false" in str(refused.value)
        assert "boolean" not in str(refused.value)

    def test_images_of_two_sizes(self, tmp_path):
        sizes = iter([4, 4, 6, 4])
        model = lambda p, n: torch.zeros(len(p), 3, 4, next(sizes))  # noqa: E731
        with recorder(tmp_path / "run", protocols=[], judge=half) as opened:
            message = "class 00 are of 4 × 4 pixels and those of class 10 of 4 × 6 pixels"
            with pytest.raises(UserError, match=message):
                opened.checkpoint(2, model)
        assert opened.recorded == ()
        assert not (tmp_path / "run" / "samples").exists()

    def test_images_of_another_size_than_those_that_are_there(self, tmp_path):
        with recorder(tmp_path / "run", protocols=[], judge=half) as opened:
            opened.checkpoint(2, lambda p, n: torch.zeros(len(p), 3, 4, 4))
            file = tmp_path / "run/scores/naive/step-00000002.parquet"
            table = read_table(file, "")
            write_table(file, table[table["concept_class"] != "10"])
            with pytest.raises(UserError, match="class 10 are 6 pixels wide or high, and those in"):
                opened.checkpoint(2, lambda p, n: torch.zeros(len(p), 3, 6, 6))

    def test_a_checkpoint_outside_of_the_block(self, tmp_path):
        with pytest.raises(UserError, match="inside `with Recorder"):
            recorder(tmp_path / "run").checkpoint(2, Painter())

    def test_metrics_without_a_loss_and_metrics_that_are_none(self, tmp_path):
        painter = Painter()
        with recorder(tmp_path / "run", protocols=[]) as opened:
            with pytest.raises(UserError, match="need a loss beside them"):
                opened.checkpoint(2, painter, grad_norm=1.0)
            with pytest.raises(UserError, match="loss of step 2 is 'low', not a number"):
                opened.checkpoint(2, painter, loss="low")
            with pytest.raises(Diverged, match="loss of step 2 is nan"):
                opened.checkpoint(2, painter, loss=float("nan"))
        assert painter.calls == 0
        assert opened.recorded == ()
        assert not (tmp_path / "run" / "samples").exists()

    def test_protocols_of_one_name(self, tmp_path):
        with pytest.raises(UserError, match="two protocols are called overprompting-hue"):
            recorder(tmp_path / "run", protocols=[LOUDER, LOUDER])

    def test_naive_prompting_is_there_once(self, tmp_path):
        assert list(recorder(tmp_path, protocols=[Naive()]).description.protocols) == ["naive"]

    def test_a_folder_of_other_things(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(UserError, match="exists and is not a run"), recorder(tmp_path):
            pass
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("given", [["loud"], [[1, 2]], [Overprompting]])
def test_what_is_no_protocol_is_refused(tmp_path, given):
    expected = r"a protocol is an object with a name, and a method .* is none"
    with unchecked(), pytest.raises(UserError, match=expected):
        recorder(tmp_path / "mine", protocols=given)
    assert not (tmp_path / "mine").exists()


def vectors(*numbers):
    return lambda name, count: torch.tensor(numbers).expand(count, -1)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (vectors(0.9, 0.9), vectors(0.1, 0.9)),
        (vectors(1.0, 0.0), vectors(0.0, 1.0)),
        (vectors(0.5, -0.5), vectors(0.52, -0.52)),
        (vectors(4, 5), vectors(5, 4)),
        (lambda name, count: ["a photo"] * count, lambda name, count: ["a drawing"] * count),
    ],
    ids=["numbers", "order", "louder", "labels", "texts"],
)
def test_other_prompts_do_not_go_on_with_a_recording(tmp_path, first, other):
    """The functions share a name, so that the run's description is the same."""
    other.__qualname__ = first.__qualname__ = "encode"

    def draw(prompts, noise):
        return torch.full((len(prompts), 3, 6, 6), 0.5)

    for step in range(2):
        with recorder(tmp_path / "run", protocols=[], prompts=first) as opened:
            opened.checkpoint(step, draw)
    refused = pytest.raises(UserError, match="asked with other prompts for the same classes")
    with refused, recorder(tmp_path / "run", protocols=[], prompts=other):
        pass
    assert Run(tmp_path / "run").trajectory()["step"].unique().tolist() == [0, 1]


def test_prompts_that_differ_by_rounding_are_the_same(tmp_path):
    """Their mean is zero but for rounding, as behind a layer norm."""
    numbers = torch.nn.functional.layer_norm(torch.randn(7, 64), (64,))

    def draw(prompts, noise):
        return torch.full((len(prompts), 3, 6, 6), 0.5)

    for step in range(3):
        rounded = numbers + 1e-6 * step * torch.randn(7, 64)

        def encode(name, count, rounded=rounded):
            return rounded.expand(count, -1, -1)

        with recorder(tmp_path / "run", protocols=[], prompts=encode) as opened:
            opened.checkpoint(step, draw)
    assert Run(tmp_path / "run").trajectory()["step"].nunique() == 3
