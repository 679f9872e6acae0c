"""Configs that other versions wrote, and those of other kinds of data."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import tomli_w
from pyarrow import parquet

from conceptspace.config import (
    RunConfig,
    load,
    merged,
    nested,
    read_complete,
)
from conceptspace.errors import UserError
from conceptspace.paper.settings import STUDIED_SEEDS, studied
from conceptspace.presets import paper, quick
from conceptspace.settings.versions import without_header
from conceptspace.store import Run, open_or_create
from conceptspace.worlds.older import CELEBA


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
