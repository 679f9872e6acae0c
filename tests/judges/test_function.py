"""What a judge of one's own may answer, and what is refused."""

from __future__ import annotations

import pytest
import torch

from conceptspace.errors import UserError
from conceptspace.judges.function import checked_judge, judge_in_words
from conceptspace.judges.judge import Judgement
from conceptspace.judges.probe import Probe, ProbeSettings, TrainedProbe
from conceptspace.worlds.naming import named_space

CONCEPTS = named_space({"hue": ("red", "blue"), "side": ("left", "right")}, []).concepts
IMAGES = torch.rand(3, 3, 8, 8)
SECOND = torch.tensor([[0.1, 0.9], [0.2, 0.8], [1.0, 0.0]])
VALID = torch.tensor([True, False, True])
BOTH = {
    "side": torch.stack([1 - SECOND[:, 1], SECOND[:, 1]], dim=1),
    "hue": torch.stack([1 - SECOND[:, 0], SECOND[:, 0]], dim=1),
}


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        (SECOND, None),
        (SECOND.double().requires_grad_(), None),
        (BOTH, None),
        ((SECOND, VALID), VALID),
        ((BOTH, VALID), VALID),
        (Judgement(torch.stack([1 - SECOND, SECOND], dim=2), VALID), VALID),
    ],
)
def test_every_form_of_an_answer_is_the_same_judgement(answer, valid):
    judged = checked_judge(lambda images: answer, CONCEPTS)(IMAGES)
    torch.testing.assert_close(judged.coordinates, SECOND)
    assert not judged.coordinates.requires_grad
    assert judged.valid is valid or torch.equal(judged.valid, valid)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (SECOND[:2], r"gives float32 of shape \(2, 2\) where .* of shape \(3, 2\) belong"),
        (SECOND.long(), "gives int64 of shape"),
        (SECOND.numpy(), "gives ndarray where"),
        (SECOND * 3, r"gives numbers from 0 to 3; probabilities lie in 0..1"),
        (SECOND - 0.5, r"gives numbers from -0.5 to 0.5"),
        (SECOND * float("nan"), "NaN or infinite"),
        ({"hue": BOTH["hue"]}, "answers for hue, and the concepts are hue, side"),
        ({**BOTH, "hue": SECOND[:, :1]}, r"concept hue, gives .* of shape \(3, 1\)"),
        ({**BOTH, "hue": BOTH["hue"] / 2}, "concept hue, gives probabilities whose sum is not 1"),
        ((SECOND, VALID.float()), "gives float32 of shape .* as valid, where booleans"),
        ((SECOND, VALID[:1]), "as valid, where booleans"),
        ((SECOND, VALID, 1), "answers with a pair"),
    ],
)
def test_other_answers_are_refused_in_one_sentence(answer, message):
    def mine(images):
        return answer

    with pytest.raises(UserError, match=message) as refused:
        checked_judge(mine, CONCEPTS)(IMAGES)
    assert "mine" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_trained_probe_is_a_judge():
    settings = ProbeSettings(channels=(8,), features=8)
    probe = Probe(("hue", "side"), settings)
    trained = TrainedProbe(probe, "0123456789abcdef99", {})
    judged = checked_judge(trained, CONCEPTS)(IMAGES)
    torch.testing.assert_close(judged.coordinates, probe.coordinates(IMAGES))
    assert judged.valid is None
    assert judge_in_words(trained) == "probe 0123456789abcdef"


@pytest.mark.parametrize(
    "values",
    [
        {"side": ("left", "right"), "hue": ("red", "blue")},
        {"hue": ("blue", "red"), "side": ("left", "right")},
        {"hue": ("red", "green", "blue"), "side": ("left", "right")},
        {"tone": ("red", "blue"), "side": ("left", "right")},
    ],
    ids=["order of concepts", "order of values", "more values", "another concept"],
)
def test_a_probe_of_other_concepts_or_values_is_refused(values):
    settings = ProbeSettings(channels=(8,), features=8)
    known = named_space(values, []).concepts
    probe = Probe([c.name for c in known], settings, [len(c.labels) for c in known])
    trained = TrainedProbe(probe, "0123456789abcdef99", {}, known)
    checked_judge(trained, known)
    with pytest.raises(UserError, match=r"trained on the concepts and values .* and here they are"):
        checked_judge(trained, CONCEPTS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_new_tensors_does_not_matter(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        judged = checked_judge(lambda images: SECOND, CONCEPTS)(IMAGES)
    finally:
        torch.set_default_dtype(before)
    torch.testing.assert_close(judged.coordinates, SECOND)


def test_more_values_need_the_probability_of_each():
    values = {"hue": ("red", "green", "blue"), "side": ("left", "right")}
    concepts = named_space(values, []).concepts
    hue = torch.tensor([[0.2, 0.3, 0.5]]).expand(3, -1)
    judged = checked_judge(lambda images: {"hue": hue, "side": BOTH["side"]}, concepts)(IMAGES)
    torch.testing.assert_close(judged.probabilities[:, 0], hue)
    assert torch.equal(judged.probabilities[:, 1, 2], torch.zeros(3))
    with pytest.raises(UserError, match="one has 3 values; answer with the probabilities of all"):
        checked_judge(lambda images: SECOND, concepts)(IMAGES)
