from __future__ import annotations

import json
import math
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import tomli_w
from hypothesis import assume, given
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from conceptspace.config import (
    RunConfig,
    field_names,
    load,
    merged,
    nested,
    read_complete,
)
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.paper.settings import STUDIED_SEEDS, studied
from conceptspace.presets import PRESETS, paper, quick
from conceptspace.settings.versions import without_header
from conceptspace.store import Run, open_or_create
from conceptspace.worlds.config import WORLDS
from conceptspace.worlds.older import CELEBA
from conceptspace.worlds.shapes.building import concept as concept_of
from conceptspace.worlds.shapes.config import ConceptName

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


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"train": {"step": 3}}, r"there is no setting train.step; did you mean train.steps\?"),
            ({"steps": 3}, r"there is no setting steps; did you mean .*steps\?"),
            ({"data": {"colour_separation": 0.3}}, "did you mean data.color_separation"),
            ({"zzzzqqq": 1}, "there is no setting zzzzqqq$"),
            ({"train": {"steps": "many"}}, "train.steps = 'many' is not possible"),
            ({"train": {"steps": 3.5}}, "train.steps = 3.5"),
            ({"train": {"steps": True}}, "train.steps = True"),
            ({"train": {"steps": 0}}, "train.steps = 0"),
            ({"train": {"learning_rate": -1.0}}, "train.learning_rate = -1.0"),
            ({"train": {"learning_rate": "1"}}, "train.learning_rate = '1'"),
            ({"data": {"concepts": ["hue"]}}, "data.concepts.0 = 'hue'"),
            ({"data": {"concepts": "color"}}, "data.concepts = 'color'"),
            ({"data": {"color_separation": math.nan}}, "data.color_separation = nan"),
            ({"data": {"color_separation": -0.3}}, "data.color_separation = -0.3"),
            ({"model": {"gamma_end": math.inf}}, "model.gamma_end = inf"),
            ({"model": {"norm": "batch"}}, "model.norm = 'batch'"),
            ({"data": 3}, "data = 3"),
            ({"probe": {"margin": 0.0}}, "probe.margin = 0.0"),
            ({"train": {"first_checkpoint": 30_000}}, "lies after the last step"),
            ({"train": {"checkpoint_steps": [1, 2]}}, "needs checkpoint_schedule"),
        ],
    )
    def test_one_sentence_says_what_is_wrong_and_where(self, values, message):
        with pytest.raises(UserError, match=message) as error:
            merged(paper(), values, "file.toml")
        text = str(error.value)
        assert text.startswith("file.toml: ")
        assert "\n" not in text
        assert len(text) < 300

    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ([], "must list steps"),
            ([5, 3], "must increase"),
            ([3, 3], "must increase"),
            ([-1, 3], "-1 is not possible: 0 to 1000000000"),
            ([3, 20_001], "must lie in"),
        ],
    )
    def test_explicit_checkpoints(self, steps, message):
        values = {"train": {"checkpoint_schedule": "explicit", "checkpoint_steps": steps}}
        with pytest.raises(UserError, match=message):
            merged(paper(), values, "x")

    def test_log_cannot_start_at_zero(self):
        values = {"train": {"checkpoint_schedule": "log", "first_checkpoint": 0}}
        with pytest.raises(UserError, match="at least 1"):
            merged(paper(), values, "x")

    def test_files(self, tmp_path):
        with pytest.raises(UserError, match=r"cannot read .*No such file"):
            load(tmp_path / "none.toml", paper())
        with pytest.raises(UserError, match="cannot read"):
            load(tmp_path, paper())
        for content in (b"a = ", b"\xff\xfe", b"[a\n"):
            path = tmp_path / "bad.toml"
            path.write_bytes(content)
            with pytest.raises(UserError, match="not valid TOML") as error:
                load(path, paper())
            assert str(path) in str(error.value)

    def test_configs_cannot_be_changed(self):
        with pytest.raises(ValidationError):
            paper().train.steps = 3


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


class TestVersions:
    """A file of a newer version says so; a run's own file must be whole."""

    def test_a_run_tells_who_wrote_its_config(self, tmp_path):
        run, _ = open_or_create(tmp_path / "run", quick())
        first = (run.path / "config.toml").read_text().splitlines()[:2]
        assert first == ["format = 1", f'version = "{version("conceptspace")}"']
        assert run.config == quick()
        assert load(run.path / "config.toml", paper()) == quick()

    @pytest.mark.parametrize(
        "values",
        [
            {"train": {"warmup": 3}},
            {"evaluate": {"sampler": "better"}},
            {"distillation": {"steps": 3}},
        ],
    )
    def test_an_unknown_key_of_a_newer_version_names_both(self, values):
        own = version("conceptspace")
        message = (
            rf"; conceptspace 99\.1 wrote it, which is newer than this {re.escape(own)}: install"
        )
        with pytest.raises(UserError, match=message):
            merged(paper(), values | {"version": "99.1"}, "x.toml")
        for same in (own, "0.0.1"):
            with pytest.raises(UserError) as error:
                merged(paper(), values | {"version": same}, "x.toml")
            assert "newer" not in str(error.value)

    def test_ten_comes_after_nine(self):
        assert without_header({"version": "0.10.0"}, "x")[1] > ""
        assert without_header({"version": "0.0.10"}, "x")[1] == ""

    def test_a_newer_version_whose_settings_are_known_is_read(self):
        assert merged(quick(), {"version": "99.1", "seed": 3}, "x").seed == 3

    @pytest.mark.parametrize("header", [{"format": 2}, {"format": 2, "version": "99.1"}])
    def test_a_newer_format_is_refused(self, header):
        with pytest.raises(UserError, match="x has format 2, and formats up to 1 are known; "):
            merged(quick(), header, "x")

    @pytest.mark.parametrize("header", [{"format": "1"}, {"version": 3}, {"format": True}])
    def test_a_header_that_is_none(self, header):
        with pytest.raises(UserError, match="must be a whole number and text"):
            merged(quick(), header, "x")

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("", r"lacks preset, seed, data.concepts and \d+ more"),
            ("[train]\nsteps = 3\n", "lacks preset, seed"),
        ],
    )
    def test_an_emptied_config_of_a_run_is_not_the_paper_preset(self, tmp_path, content, fault):
        run, _ = open_or_create(tmp_path / "run", quick())
        (run.path / "config.toml").write_text(content)
        with pytest.raises(UserError, match=f"config.toml is not whole: it {fault}") as error:
            _ = Run(run.path).config
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", ["train", "data.pixel_noise", "seed", "evaluate.guidance"])
    def test_what_a_run_lacks_is_named(self, tmp_path, name):
        values = json.loads(quick().model_dump_json())
        section, _, leaf = name.rpartition(".")
        del (values[section] if section else values)[leaf]
        path = tmp_path / "c.toml"
        path.write_text(tomli_w.dumps(values))
        with pytest.raises(UserError, match=f"it lacks {name}"):
            read_complete(path)
        assert load(path, quick()) == quick()

    @pytest.mark.parametrize("config", [quick(), paper()])
    def test_what_is_whole_comes_back(self, tmp_path, config):
        (tmp_path / "c.toml").write_text(config.text())
        assert read_complete(tmp_path / "c.toml") == config
        (tmp_path / "c.toml").write_text(config.to_toml())
        assert read_complete(tmp_path / "c.toml") == config


class TestBuild:
    """Configs that are well typed, and still describe something impossible."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"data.resolution": 30}, "multiple of 4"),
            ({"model.channels": [12, 24]}, "multiples of 8"),
            ({"model.channels": []}, "multiples of 8"),
            ({"model.groups": 7}, "model.groups"),
            ({"model.heads": 3}, "model.heads"),
            ({"probe.channels": [4]}, "multiples of 8"),
            ({"data.color_separation": 0.9}, "outside"),
            ({"data.size_separation": 0.5}, "outside"),
            ({"data.color_spread": 0.5}, "overlap"),
            ({"data.masked_class": "11"}, "not a training class"),
            ({"data.masked_share": 0.5}, "needs data.masked_class"),
            (
                {
                    "data.concepts": ["shape", "size"],
                    "data.masked_class": "01",
                    "data.masked_share": 0.5,
                },
                "data.masked_concept = 'color' .* they are shape, size",
            ),
            (
                {
                    "data.conditioned": ["size"],
                    "data.masked_class": "01",
                    "data.masked_share": 0.5,
                },
                "data.masked_concept = 'color' .* they are size",
            ),
            ({"data.concepts": ["color", "color"]}, "distinct names"),
            ({"data.train_classes": ["0"]}, "has 1 digits"),
            ({"data.train_classes": ["0x"]}, "string of digits"),
            ({"model.gamma_start": 11.0}, "gamma must increase"),
            ({"data.images_per_class": 2, "data.validation_share": 0.9}, "no training image"),
            ({"model.time_size": 7}, "time_size"),
        ],
    )
    def test_is_refused_before_any_work(self, changes, message):
        with pytest.raises(UserError, match=message) as error:
            parts.validate(merged(paper(), nested(changes), "x"))
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", get_args(ConceptName))
    def test_every_concept_takes_its_separation_and_spread(self, name):
        kind = "position" if name in ("x", "y") else name
        data = quick().data
        base = concept_of(name, data)
        assert base.name == name
        if name == "shape":
            return
        changed = merged(
            quick(), {"data": {f"{kind}_separation": 0.3, f"{kind}_spread": 0.05}}, "x"
        )
        c = concept_of(name, changed.data)
        assert c.spread == pytest.approx(0.3 * 0.05)
        distance = max(abs(a - b) for a, b in zip(*c.means, strict=True))
        assert distance == pytest.approx(0.3)

    def test_own_split(self):
        changes = {"data.train_classes": ["00", "11"], "data.ood_classes": ["01"]}
        space = parts.world(merged(quick(), nested(changes), "x").data).space
        assert (space.train_classes, space.ood_classes) == (("00", "11"), ("01",))

    def test_world_takes_the_image_settings(self):
        changes = {"data": {"position_range": 0.1, "edge_blur": 0.3, "pixel_noise": 0.2}}
        world = parts.world(merged(quick(), changes, "x").data)
        found = (world.resolution, world.position_range, world.edge_blur, world.pixel_noise)
        assert found == (16, 0.1, 0.3, 0.2)

    def test_conditioning_defaults_to_the_concepts(self):
        assert parts.conditioning(quick().data).variables == ("color", "size")
        shown = merged(quick(), {"data": {"conditioned": ["x"]}}, "x")
        assert parts.conditioning(shown.data).variables == ("x",)

    def test_optimization_and_sampling_take_every_setting(self):
        train = {
            "batch_size": 7,
            "learning_rate": 0.5,
            "weight_decay": 0.25,
            "beta1": 0.1,
            "beta2": 0.2,
            "clip_norm": 3.0,
            "weight_average": 0.4,
            "condition_dropout": 0.6,
        }
        evaluate = {
            "samples": 3,
            "elicitation_samples": 4,
            "sampler": "ddim",
            "sampling_steps": 5,
            "batch_size": 11,
        }
        config = merged(quick(), {"train": train, "evaluate": evaluate}, "x")
        found = parts.optimization(config)
        assert found.betas == (0.1, 0.2)
        assert all(getattr(found, k) == v for k, v in train.items() if not k.startswith("beta"))
        sampling = parts.sampling(config, "naive")
        assert parts.sampling(config, "overprompting").samples == 4
        assert (sampling.samples, sampling.steps) == (3, 5)
        assert (sampling.sampler, sampling.batch_size) == ("ddim", 11)


OLDER = {
    "shapes": "d7f0f043946775df423a88a47e2a7a41cc0a8b51d441f974f6f994bff496bb36",
    "celeba": "94d03a0afbeb87b539eb66f2cd04e25ffb0c6e7b50fe416c4d20f507986bfe94",
    "arrays": "6f78bc85b0be2d1b23cebf8167c559ede497f38a27c03a467fcf78649e80ec53",
    "folder": "ad9686beea01e83416e8ecc48ec71af61fd6066b2d1591174b763d72d623ecae",
}
"""Digests of configs that start from the quick preset."""


class TestKindsOfData:
    @pytest.mark.parametrize("seed", STUDIED_SEEDS["quick"])
    def test_kept_runs_have_the_digest_that_they_were_made_with(self, seed):
        results = Path(__file__).parent.parent / "results" / "quick"
        (plan,) = studied("quick", [seed])
        run = Run(plan.folder(results))
        schema = parquet.read_schema(run.path / "trajectory.parquet")
        stored = json.loads(schema.metadata[b"conceptspace"])
        assert run.config.digest() == stored["config"]
        assert run.config.to_toml() == (run.path / "config.toml").read_text()
        assert run.config == plan.config

    @pytest.mark.parametrize(("kind", "digest"), OLDER.items())
    def test_older_kinds_keep_their_digests(self, tmp_path, kind, digest):
        """As they were when all kinds of data shared one section; a preset's shapes."""
        own = {
            "celeba": {"root": "faces", "attributes": ["Smiling"], "jitter": 0.2},
            "arrays": {"path": "a.npz", "factors": ["a", "b"], "values": ["a=x|y"]},
            "folder": {"path": "d", "table": "t.csv", "file_column": "f", "ood_classes": ["11"]},
            "shapes": {"masked_class": "01", "masked_share": 0.5},
        }
        config = merged(quick(), {"data": {"kind": kind, **own[kind]}, "seed": 3}, "test")
        assert config.digest() == digest
        (tmp_path / "config.toml").write_text(config.text())
        again = read_complete(tmp_path / "config.toml")
        assert (again, again.text()) == (config, config.text())
        assert load(tmp_path / "config.toml", paper()).digest() == digest

    def test_shapes_are_stored_without_settings_of_other_images(self):
        assert not {"kind", *CELEBA} & set(quick().data.model_dump())

    def test_settings_that_came_later_are_stored_where_they_are_used(self):
        own = nested({"data.kind": "arrays", "data.path": "x.npz"})
        plain = merged(quick(), own, "test")
        assert "shown" not in plain.data.model_dump()
        assert "agreement" not in plain.probe.model_dump()
        used = merged(plain, nested({"data.shown": ["a=0|1"], "probe.agreement": 0.9}), "test")
        assert used.data.model_dump()["shown"] == ("a=0|1",)
        assert used.probe.model_dump()["agreement"] == 0.9
        assert used.digest() != plain.digest()

    def test_a_setting_that_differs_is_stored_even_without_effect(self, tmp_path):
        stored = quick().data.model_dump()
        config = merged(quick(), {"data": stored | {"flips": 0.25}}, "test")
        (tmp_path / "c.toml").write_text(config.to_toml())
        assert load(tmp_path / "c.toml", quick()) == config != quick()

    def test_images_with_attributes_are_stored_whole(self, tmp_path):
        config = merged(quick(), nested({"data.kind": "celeba", "data.root": "faces"}), "test")
        assert {"kind", *CELEBA} <= set(config.data.model_dump())
        (tmp_path / "c.toml").write_text(config.to_toml())
        assert load(tmp_path / "c.toml", RunConfig()) == config
