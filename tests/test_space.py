from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.errors import UserError
from conceptspace.space import (
    Concept,
    ConceptClass,
    ConceptSpace,
    all_classes,
    as_classes,
    paper_split,
)
from conceptspace.worlds.faces.attributes import attribute_space
from conceptspace.worlds.shapes import world as shapes

MAKERS = {
    "color": (shapes.color, 0.1, 0.8),
    "size": (shapes.size, 0.1, 0.4),
    "background": (shapes.background, 0.1, 0.8),
    "x": (lambda separation: shapes.position("x", separation), 0.1, 1.6),
    "y": (lambda separation: shapes.position("y", separation), 0.1, 1.6),
}
"""How to make a concept, and the separations that it allows."""


def one_sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert 10 < len(text) < 300
    return text


class TestConceptClass:
    @pytest.mark.parametrize("digits", ["", "0 1", "01x", "-1", "０1", "²"])
    def test_only_digits(self, digits):
        with pytest.raises(UserError, match="string of digits"):
            ConceptClass(digits)

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
    def test_is_its_values(self, values):
        c = ConceptClass.of(values)
        assert c.values == tuple(values)
        assert ConceptClass(str(c)) == c

    @given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 9), st.data())
    def test_flip_to_a_value_changes_that_one_alone(self, values, to, data):
        c, i = ConceptClass.of(values), data.draw(st.integers(0, len(values) - 1))
        flipped = c.flip(i, to)
        assert flipped.values == (*values[:i], to, *values[i + 1 :])
        assert c.distance(flipped) == int(values[i] != to)
        assert flipped.flip(i, values[i]) == c

    def test_a_third_value_is_flipped_to_a_named_one_only(self):
        with pytest.raises(UserError, match="to which value"):
            ConceptClass("02").flip(1)

    def test_is_its_digits(self):
        c = ConceptClass("010")
        assert c == "010"
        assert c.values == (0, 1, 0)
        assert {c: 1}["010"] == 1

    @given(st.text("01", min_size=1, max_size=6), st.data())
    def test_flip_changes_one_bit_and_back(self, bits, data):
        c = ConceptClass(bits)
        i = data.draw(st.integers(0, len(bits) - 1))
        flipped = c.flip(i)
        assert [a != b for a, b in zip(c, flipped, strict=True)] == [j == i for j in range(len(c))]
        assert flipped.flip(i) == c
        assert c.distance(flipped) == 1

    def test_distance_counts_differing_concepts(self):
        assert ConceptClass("0110").distance("1010") == 2
        with pytest.raises(ValueError, match=r"shorter|longer"):
            ConceptClass("01").distance("0")


class TestSplits:
    def test_two_concepts(self):
        assert paper_split(2) == (("00", "01", "10"), ("11",))

    def test_three_concepts(self):
        assert paper_split(3) == (("000", "001", "010", "100"), ("011", "101", "110", "111"))

    @given(st.integers(1, 6))
    def test_every_class_once(self, dimensions):
        train, ood = paper_split(dimensions)
        assert sorted(train + ood) == list(all_classes(dimensions))
        assert len(train) == dimensions + 1

    @given(st.lists(st.integers(2, 5), min_size=1, max_size=4))
    def test_of_many_values_every_class_once(self, sizes):
        train, ood = paper_split(sizes)
        classes = all_classes(sizes)
        assert len(set(classes)) == len(classes) == math.prod(sizes)
        assert sorted(train + ood) == list(classes)
        assert len(train) == 1 + sum(sizes) - len(sizes)
        assert all(v < n for c in classes for v, n in zip(c.values, sizes, strict=True))


class TestConcept:
    @given(st.sampled_from(sorted(MAKERS)), st.floats(0, 1), st.integers(0, 2**31))
    def test_classes_never_overlap_and_stay_in_limits(self, name, position, seed):
        make, low, high = MAKERS[name]
        concept = make(low + position * (high - low))
        source = torch.Generator().manual_seed(seed)
        values = [concept.sample(bit, 200, source) for bit in (0, 1)]
        floor, ceiling = concept.limits
        for v in values:
            assert v.min() >= floor - 1e-6
            assert v.max() <= ceiling + 1e-6
        axis = concept.mean(1) - concept.mean(0)
        for k in axis.abs().nonzero().flatten():
            lower, upper = values if axis[k] > 0 else values[::-1]
            assert lower[:, k].max() < upper[:, k].min()
        zero, one = (concept.coordinate(v) for v in values)
        assert zero.max() < 0.5 < one.min()

    @given(st.sampled_from(sorted(MAKERS)), st.floats(0, 1))
    def test_coordinate_is_0_and_1_at_the_means_and_linear_between(self, name, position):
        make, low, high = MAKERS[name]
        concept = make(low + position * (high - low))
        between = torch.lerp(concept.mean(0), concept.mean(1), torch.tensor(0.3))
        points = torch.stack([concept.mean(0), concept.mean(1), between])
        torch.testing.assert_close(
            concept.coordinate(points), torch.tensor([0.0, 1.0, 0.3]), atol=1e-5, rtol=0
        )

    def test_samples_fill_the_interval_around_the_mean(self):
        concept = shapes.color(0.4)
        values = concept.sample(1, 5000, torch.Generator().manual_seed(0))
        torch.testing.assert_close(values.mean(0), concept.mean(1), atol=0.003, rtol=0)
        expected = torch.full((3,), 0.05 / 3**0.5)
        torch.testing.assert_close(values.std(0), expected, atol=0.001, rtol=0)
        correlations = torch.corrcoef(values.T) - torch.eye(3)
        assert correlations.abs().max() < 0.06

    def test_spread_scales_with_separation(self):
        for make, share in ((shapes.color, 1 / 8), (shapes.size, 3 / 8)):
            assert make(0.2).spread == pytest.approx(0.2 * share)
            assert make(0.4).spread == pytest.approx(0.4 * share)

    def test_means_of_the_paper(self):
        assert shapes.color(0.6).means == (
            pytest.approx((0.8, 0.2, 0.2)),
            pytest.approx((0.2, 0.2, 0.8)),
        )
        assert shapes.size(0.4).means == (pytest.approx((0.65,)), pytest.approx((0.25,)))

    @pytest.mark.parametrize(
        ("make", "separation"),
        [
            (shapes.color, 0.81),
            (shapes.size, 0.41),
            (shapes.background, 0.9),
            (lambda s: shapes.position("x", s), 1.7),
        ],
    )
    def test_leaving_the_limits_is_refused(self, make, separation):
        with pytest.raises(UserError) as error:
            make(separation)
        assert "outside" in one_sentence(error)

    @pytest.mark.parametrize("make", [shapes.color, shapes.size, shapes.background])
    def test_overlapping_classes_are_refused(self, make):
        with pytest.raises(UserError) as error:
            make(0.2, 0.5)
        assert "overlap" in one_sentence(error)
        make(0.2, 0.49)

    def test_equal_means_are_refused(self):
        with pytest.raises(UserError, match="overlap"):
            shapes.color(0.0)

    @pytest.mark.parametrize("make", [shapes.color, shapes.size, shapes.background])
    def test_negative_separations_are_refused(self, make):
        """They would silently swap the two classes under their labels."""
        with pytest.raises(UserError) as error:
            make(-0.3)
        one_sentence(error)


def space(train=("00", "01", "10"), ood=("11",)):
    return ConceptSpace((shapes.color(0.4), shapes.size(0.4)), as_classes(train), as_classes(ood))


class TestConceptSpace:
    def test_names_classes_words(self):
        s = space()
        assert s.names == ("color", "size")
        assert s.classes == ("00", "01", "10", "11")
        assert s.describe("01") == "red small"
        assert s.describe("10") == "blue large"

    @pytest.mark.parametrize(
        ("train", "ood", "message"),
        [
            ((), ("11",), "at least one training class"),
            (("00", "0"), (), "has 1 digits"),
            (("00", "011"), (), "has 3 digits"),
            (("00", "11"), ("11",), "twice"),
            (("00", "00"), (), "twice"),
        ],
    )
    def test_impossible_splits_are_refused(self, train, ood, message):
        with pytest.raises(UserError, match=message) as error:
            space(train, ood)
        one_sentence(error)

    def test_names_must_differ(self):
        c = Concept("color", ("a", "b"), ((0.0,), (1.0,)))
        with pytest.raises(UserError, match="distinct names"):
            ConceptSpace((c, c), as_classes(("00",)), ())

    def test_names_must_differ_where_capitals_are_the_same(self):
        """They are part of folders' names."""
        both = [Concept(name, ("a", "b"), ((0.0,), (1.0,))) for name in ("Color", "color")]
        with pytest.raises(UserError, match="distinct names"):
            ConceptSpace(tuple(both), as_classes(("00",)), ())


NAMES = [
    "joint",
    "Joint",
    "",
    " ",
    "a/b",
    "..",
    "a\\b",
    "a,b",
    "a=b",
    "a\n",
    "a ",
    " a",
    "a\tb",
    "a:b",
]


class TestForm:
    """What is no concept at all."""

    @pytest.mark.parametrize("name", NAMES)
    def test_names_that_tables_and_folders_cannot_take(self, name):
        with pytest.raises(UserError, match="a concept cannot be called") as error:
            Concept(name, ("a", "b"), ((0.0,), (1.0,)))
        one_sentence(error)

    @pytest.mark.parametrize("name", NAMES)
    def test_attributes_have_names_of_concepts(self, name):
        with pytest.raises(UserError, match="a concept cannot be called"):
            attribute_space(("Smiling", name), (), ())

    @pytest.mark.parametrize(
        "name", ["5_o_Clock_Shadow", "Not_Male", "Big Nose", "größe", "x-y", "v1.2"]
    )
    def test_other_names(self, name):
        assert Concept(name, ("a", "b"), ((0.0,), (1.0,))).name == name

    @pytest.mark.parametrize(
        ("labels", "means", "message"),
        [
            (("a", "b", "c"), ((0.0,), (1.0,)), "3 labels and 2 means"),
            (("a", "b"), ((0.0,), (0.5,), (1.0,)), "2 labels and 3 means"),
            (("a",), ((0.0,), (1.0,)), "2 to 10 values of different names, and hue has 1"),
            (("a", "a"), ((0.0,), (1.0,)), "of different names, and hue has 2: a, a"),
            (tuple("abcdefghijk"), ((0.0,),) * 11, "2 to 10 values"),
            (("a", "b"), ((0.0,), (1.0, 0.0)), "have 1, 2 numbers"),
            (("a", "b"), ((), ()), "have 0 numbers"),
            (("a", "b", "c"), ((0.0,), (0.5,), (0.5,)), "b and c of hue overlap"),
            (("a", "b"), ((0.0,), (float("nan"),)), "not finite"),
            (("a", "b"), ((0.0,), (float("inf"),)), "not finite"),
        ],
    )
    def test_values_have_a_label_and_a_mean_each(self, unchecked_types, labels, means, message):
        with pytest.raises(UserError, match=message) as error:
            Concept("hue", labels, means)
        one_sentence(error)

    @pytest.mark.parametrize("change", [{"spread": float("nan")}, {"center": float("inf")}])
    def test_other_numbers_are_finite(self, change):
        with pytest.raises(UserError, match="not finite"):
            Concept("hue", ("a", "b"), ((0.0,), (1.0,)), **change)

    def test_limits_increase(self):
        with pytest.raises(UserError, match="limits of hue must increase"):
            Concept("hue", ("a", "b"), ((0.0,), (1.0,)), 0.1, (1.0, 0.0))

    def test_whole_numbers_are_numbers(self, unchecked_types):
        assert Concept("hue", ("a", "b"), ((0,), (1,))).mean(1).dtype == torch.float32


@pytest.fixture
def unchecked_types():
    """As outside of the tests, where no annotation is checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
