"""Every setting: its presets, its digest, its bounds, and the way to a file and back."""

from __future__ import annotations

import math
from typing import Any, get_args, get_origin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conceptspace.config import (
    RunConfig,
    field_names,
    load,
    merged,
    nested,
)
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presets import PRESETS, paper, quick
from conceptspace.worlds.config import WORLDS

FIELDS = field_names()


KINDS_OF = ("data.kind", "model.kind")


PAPER = {
    "data.concepts": ("color", "size"),
    "data.resolution": 32,
    "data.color_spread": 1 / 8,
    "data.size_separation": 0.4,
    "data.size_spread": 3 / 8,
    "data.background_spread": 1 / 8,
    "data.position_range": 0.5,
    "data.edge_blur": 1.0,
    "data.pixel_noise": 0.001,
    "data.images_per_class": 2048,
    "data.validation_share": 0.15,
    "data.masked_share": 0.0,
    "model.channels": (64, 128, 256),
    "model.blocks": 2,
    "model.heads": 4,
    "model.dropout": 0.1,
    "model.norm": "group",
    "model.groups": 8,
    "model.time_size": 64,
    "model.embedding_size": 256,
    "model.schedule": "learned_linear",
    "model.gamma_start": -5.0,
    "model.gamma_end": 10.0,
    "model.pixel_range": "unit",
    "train.steps": 20_000,
    "train.batch_size": 64,
    "train.learning_rate": 1e-3,
    "train.weight_decay": 0.01,
    "train.beta1": 0.9,
    "train.beta2": 0.999,
    "train.clip_norm": 0.01,
    "train.weight_average": 0.0,
    "train.checkpoint_schedule": "sqrt",
    "train.checkpoints": 60,
    "train.first_checkpoint": 500,
    "probe.pooling": "max",
    "probe.features": 64,
    "probe.images_per_class": 4096,
    "probe.steps": 10_000,
    "evaluate.samples": 32,
    "evaluate.sampler": "ancestral",
    "evaluate.sampling_steps": 50,
}
"""Every number of the paper and of its published settings."""


def get(config: RunConfig, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def values(name: str) -> st.SearchStrategy[Any]:
    """Any value that a field's type and bounds allow."""
    info = FIELDS[name]
    bounds = {
        key: getattr(m, key)
        for m in info.metadata
        for key in ("ge", "gt", "le", "lt")
        if hasattr(m, key)
    }
    return of_type(info.annotation, bounds)


def of_type(annotation: Any, bounds: dict[str, float]) -> st.SearchStrategy[Any]:
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return st.lists(of_type(item, bounds if item in (int, float) else {}), max_size=4)
    if annotation is int:
        low, high = bounds.get("ge", -1000), bounds.get("le", bounds.get("lt", 10_000) - 1)
        return st.integers(int(low), int(min(high, 10_000)))
    if annotation is float:
        return st.floats(
            bounds.get("ge", bounds.get("gt", -1e6)),
            bounds.get("le", bounds.get("lt", 1e6)),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
        )
    if annotation is str:
        characters = st.characters(codec="utf-8", exclude_categories=["Cs"])
        return st.text(characters, max_size=8)
    return st.sampled_from(get_args(annotation))


@st.composite
def configs(draw) -> RunConfig:
    kind = draw(st.sampled_from(sorted(WORLDS.built_in)))
    own = {f"data.{name}" for name in WORLDS.get(kind).model_fields}
    possible = [n for n in FIELDS if n not in KINDS_OF and (n in own or n[:5] != "data.")]
    names = draw(st.lists(st.sampled_from(sorted(possible)), unique=True, max_size=8))
    changes = {name: draw(values(name)) for name in names}
    changes["data.kind"] = kind
    try:
        return merged(draw(st.sampled_from([paper(), quick()])), nested(changes), "test")
    except UserError:
        assume(False)
        raise


@given(configs())
def test_toml_round_trip(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_bytes(config.to_toml().encode())
    for base in (paper(), quick()):
        loaded = load(path, base)
        assert loaded == config
        assert loaded.digest() == config.digest()


KIND_OF = {
    f"data.{name}": kind
    for kind in ("folder", "arrays", "celeba", "shapes")
    for name in WORLDS.get(kind).model_fields
}
"""A kind that has a setting of data."""


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"model.kind"}))  # there is one
def test_digest_and_equality_see_every_field(name):
    """Some allowed value other than the default changes both."""
    base = merged(paper(), {"data": {"kind": KIND_OF.get(name, "shapes")}}, "test")
    other: dict[str, Any] = {
        "train.checkpoint_steps": {"checkpoint_schedule": "explicit", "checkpoint_steps": [1]},
        "train.checkpoint_schedule": {"checkpoint_schedule": "linear"},
    }
    if name in other:
        changed = merged(base, {"train": other[name]}, "test")
    else:
        value = get(base, name)
        annotation = FIELDS[name].annotation
        if get_origin(annotation) is tuple:
            item = get_args(annotation)[0]
            new = [*value, {int: 8, str: "01", float: 8.5}.get(item, "shape")]
        elif name == "data.kind":
            new = "celeba"
        elif annotation is str:
            new = value + "x"
        elif annotation in (int, float):
            new = value / 2 if annotation is float and value else value + 1
            new = 0.5 if name in ("data.masked_share", "train.condition_dropout") else new
            new = 0.5 if name in ("train.weight_average", "probe.agreement") else new
            new = 32 if name == "model.time_size" else new
        else:
            new = next(v for v in get_args(annotation) if v != value)
        changed = merged(base, nested({name: new}), "test")
    assert changed != base
    assert changed.digest() != base.digest()


def test_equal_configs_have_equal_digests():
    assert paper().digest() == paper().digest()


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_is_described(name):
    assert FIELDS[name].description


@pytest.mark.parametrize("name", sorted(PAPER))
def test_paper_preset(name):
    assert get(paper(), name) == PAPER[name]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_possible_and_know_their_name(name):
    config = PRESETS[name]()
    parts.validate(config)
    assert config.preset == name


def test_a_file_changes_what_it_says_and_nothing_else(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("seed = 3\n[train]\nlearning_rate = 1\n")
    config = load(path, quick())
    assert (config.seed, config.train.learning_rate) == (3, 1.0)
    assert config.data == quick().data
    assert config.train.steps == quick().train.steps


def test_nested():
    assert nested({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}


NUMBERS = {
    name: info
    for name, info in FIELDS.items()
    if info.annotation in (int, float)
    or (get_origin(info.annotation) is tuple and get_args(info.annotation)[0] in (int, float))
}


class TestBounds:
    """Every number has a smallest and a largest value, which its description names."""

    @pytest.mark.parametrize("name", sorted(NUMBERS))
    def test_beyond_them_is_refused_in_one_sentence(self, name):
        info = NUMBERS[name]
        found = {
            key: getattr(m, key)
            for m in info.metadata
            for key in ("ge", "gt", "le", "lt")
            if hasattr(m, key)
        }
        assert len(found) == 2, "one bound below, one above"
        for value in found.values():
            assert str(value) in info.description or f"{value:g}" in info.description
        for key, value in found.items():
            beyond = value if key in ("gt", "lt") else value - 1 if key == "ge" else value * 2 + 1
            many = get_origin(info.annotation) is tuple
            kind = get_args(info.annotation)[0] if many else info.annotation
            base = merged(paper(), {"data": {"kind": KIND_OF.get(name, "shapes")}}, "x")
            with pytest.raises(UserError, match=name.replace(".", r"\.")) as error:
                merged(base, nested({name: [kind(beyond)] if many else kind(beyond)}), "x")
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", sorted(NUMBERS))
    def test_what_is_no_number_or_has_no_end_is_refused(self, name):
        many = get_origin(NUMBERS[name].annotation) is tuple
        base = merged(paper(), {"data": {"kind": KIND_OF.get(name, "shapes")}}, "x")
        for value in (math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, -(10**400), True):
            with pytest.raises(UserError, match=name.replace(".", r"\.")) as error:
                merged(base, nested({name: [value] if many else value}), "x")
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", ["data.path", "data.table", "data.file_column"])
    def test_text_that_no_path_can_be_is_refused(self, name):
        values = {"data.kind": "folder"} | {name: "a\0b"}
        with pytest.raises(UserError) as error:
            merged(paper(), nested(values), "x.toml")
        assert str(error.value).startswith(f"x.toml: {name}: no name or path holds")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("name", "count"),
        [("model.channels", 9), ("evaluate.alphas", 1001), ("train.checkpoint_steps", 100_001)],
    )
    def test_long_lists(self, name, count):
        values = {name: [8] * count if "steps" not in name else list(range(count))}
        with pytest.raises(UserError, match=f"{count} values are too many"):
            merged(paper(), nested(values), "x")

    def test_concepts_of_images(self):
        names = [f"A{i}" for i in range(11)]
        with pytest.raises(UserError, match=r"data\.attributes"):
            merged(paper(), nested({"data.kind": "celeba", "data.attributes": names}), "x")
