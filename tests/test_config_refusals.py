"""Configs that cannot be read, or that describe something impossible."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from pydantic import ValidationError

from conceptspace.config import (
    load,
    merged,
    nested,
)
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presets import paper, quick
from conceptspace.worlds.shapes.building import concept as concept_of
from conceptspace.worlds.shapes.config import ConceptName


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
