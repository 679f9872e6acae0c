"""Sweep files: what they plan, how the runs are called, and which line a mistake stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presets import PRESETS
from conceptspace.sweeps.file import read_sweep
from conceptspace.sweeps.lines import line_of
from tiny import TINY

WHOLE = """base = "tiny.toml"
protocols = ["overprompting-color"]

[settings]
train.steps = 12

[axes]
data.color_separation = [0.1, 0.3]
seed = "0..2"

[[zip]]
"train.learning_rate" = [1e-3, 2e-3]
train.weight_decay = [0.0, 0.01]

[[exclude]]
"data.color_separation" = 0.1
seed = [1, 2]

[[exclude]]
"train.learning_rate" = 2e-3
seed = "0..0"
"""


def sweep(folder: Path, text: str) -> Path:
    (folder / "tiny.toml").write_text(TINY.to_toml())
    path = folder / "sweep.toml"
    path.write_text(text)
    return path


def test_axes_zipped_axes_exclusions_and_protocols_make_the_plan(tmp_path: Path) -> None:
    plans = read_sweep(sweep(tmp_path, WHOLE))
    told = {
        (
            p.config.data.color_separation,
            p.config.seed,
            p.config.train.learning_rate,
            p.config.train.weight_decay,
        )
        for p in plans
    }
    assert told == {
        (0.1, 0, 1e-3, 0.0),
        (0.3, 0, 1e-3, 0.0),
        *((0.3, seed, *pair) for seed in (1, 2) for pair in ((1e-3, 0.0), (2e-3, 0.01))),
    }
    assert len(plans) == len(told) == len({p.name for p in plans})
    assert {p.config.train.steps for p in plans} == {12}
    assert {p.config.evaluate.protocols for p in plans} == {("overprompting-color",)}
    assert plans[0].name == "color_separation-0.1,learning_rate-0.001,weight_decay-0.0/seed-0"
    first = plans[0].config
    assert first.model == TINY.model
    assert read_sweep(sweep(tmp_path, WHOLE)) == plans


def test_a_preset_with_seeds_alone_has_runs_named_after_them(tmp_path: Path) -> None:
    plans = read_sweep(sweep(tmp_path, 'base = "quick"\naxes.seed = [3, 5]\n'))
    assert [p.name for p in plans] == ["seed-3", "seed-5"]
    assert plans[1].config == PRESETS["quick"]().model_copy(update={"seed": 5})


def test_lists_are_values_and_long_names_are_cut_but_differ(tmp_path: Path) -> None:
    many = [[float(k), float(k) + i + 0.5] for i in range(2) for k in range(2, 40)][:40:20]
    text = f"base = 'tiny.toml'\n[axes]\nevaluate.strengths = [{[1.5, 2.5]}, {many[0] * 20}, "
    text += f"{many[0] * 20 + [9.0]}]\n"
    plans = read_sweep(sweep(tmp_path, text))
    assert plans[0].config.evaluate.strengths == (1.5, 2.5)
    assert plans[0].name == "strengths-1.5+2.5/seed-0"
    assert len({p.name for p in plans}) == 3
    assert all(len(p.name) < 130 for p in plans)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"seed = \n", "broken.toml is not valid TOML"),
        (b"\xff\xfe", "broken.toml is not valid TOML"),
        (b"preset = ['quick']\n", "there is no preset ['quick']"),
    ],
)
def test_a_base_that_cannot_be_read_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    file = sweep(tmp_path, "base = 'broken.toml'\naxes.seed = [0]\n")
    (tmp_path / "broken.toml").write_bytes(content)
    with pytest.raises(UserError) as told:
        read_sweep(file)
    assert problem in str(told.value)


MISTAKES = {
    "bas = 1\n": "line 1: there is no key bas; they are base",
    "base = 'paint'\n": "line 1: base = 'paint' is neither a preset (quick, paper, faces, faces-",
    "base = 'quick'\n": "nothing varies",
    "[axes]\nseed = '0-3'\n": "line 2: seed takes a list of values, or a range such as",
    "[axes]\nseed = []\n": "line 2: seed takes a list",
    "[axes]\nseed = [1, 1]\n": "line 2: seed has a value twice",
    "[axes]\n\ndata.colour_separation = [0.1]\n": (
        "line 3: there is no setting data.colour_separation; did you mean data.color_separation?"
    ),
    "[axes]\nseed = [1]\n[[zip]]\ndata.resolution = [8]\n[[zip]]\ndata.size_spread = ['a']\n": (
        "line 6: data.size_spread = 'a' is not possible"
    ),
    "[settings]\ntrain.steps = 0\n[axes]\nseed = [1]\n": "line 2: train.steps = 0 is not possible",
    "[axes]\nseed = [-1]\n": "line 2: seed = -1 is not possible",
    "[axes]\nseed = [1]\n[[zip]]\na = [1]\nb = [1, 2]\n": (
        "line 3: zipped axes have as many values as each other; a has 1, b has 2"
    ),
    "[axes]\nseed = [1]\n[[zip]]\nseed = [1]\n": "line 4: seed varies twice",
    "[axes]\nseed = [1]\n[[exclude]]\nseed = 1\n[[exclude]]\ndata.resolution = 3\n": (
        "line 6: data.resolution does not vary; what varies: seed"
    ),
    "[axes]\nseed = [1]\n[[exclude]]\nseed = 1\n": "line 3: the exclusions leave no run",
    "protocols = ['x']\n[axes]\nseed = [1]\n": "line 1: there is no protocol 'x'",
    "protocols = 3\n[axes]\nseed = [1]\n": "line 1: protocols is a list of names, not 3",
    "[axes]\nseed = '0..400'\ntrain.steps = '1..400'\n": "combinations are more than",
    "axes = 3\n": "line 1: axes is a table",
    "axis.seed = [1]\n": "line 1: there is no key axis",
    "[axis]\nseed = [1]\n": "line 1: there is no key axis",
    "axes = {seed = 3}\n": "line 1: seed takes a list",
    "[axes]\nseed = '3..1'\n": "line 2: seed = '3..1' ends before it begins",
    "[axes]\npreset = ['quick', 'paper']\n": "line 2: a preset is chosen by base",
    "[settings]\nseed = 1\n[axes]\nseed = [1]\n": "line 2: seed varies, so it is no setting",
    "[axes]\nseed = [1]\n[[exclude]]\nseed = 7\n": "line 4: no run has seed = 7",
    "[axes]\nseed = [1]\n[[zip]]\ndata.resolution = [8]\n[[zip]]\nseed = [1]\n": (
        "line 6: seed varies twice"
    ),
    "[[zip]]\ntrain.learning_rate = [0.1]\n[[zip]]\ntrain.learning_rat = [1]\n": (
        "line 4: there is no setting train.learning_rat; did you mean train.learning_rate?"
    ),
    "base = 'tiny.toml'\n[settings]\ntrain.steps = 2\n[axes]\nseed = [1]\n": (
        "line 3: train.steps = 2: train: checkpoint_steps must lie in 0..2"
    ),
    "[axes]\nevaluate.protocols = [[], ['x']]\n": "line 2: evaluate.protocols = ['x']: there is no",
    "exclude = 3\naxes.seed = [1]\n": "line 1: exclude is written [[exclude]]",
    "[axes\n": "is not valid TOML",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_names_file_line_and_key(tmp_path: Path, text: str) -> None:
    path = sweep(tmp_path, text)
    with pytest.raises(UserError) as told:
        read_sweep(path)
    assert str(told.value).startswith(str(path))
    assert MISTAKES[text] in str(told.value)
    assert "\n" not in str(told.value)


def test_values_that_look_alike_in_a_name_are_no_seeds_of_one_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of pictures d/a and d-a, each with a seed of its own."""
    monkeypatch.setattr(parts, "validate", lambda config: None)  # they need not be there
    monkeypatch.setattr(parts, "fitted", lambda config: config)
    text = """base = "quick"
[settings]
data.kind = "folder"
data.factors = ["hue", "shape"]
data.resolution = 16
[[zip]]
data.path = ["d/a", "d-a"]
seed = [0, 1]
"""
    with pytest.raises(UserError, match=r"two runs have the name path-d-a/seed-1; give them"):
        read_sweep(sweep(tmp_path, text))
    apart = read_sweep(sweep(tmp_path, text.replace("d-a", "d-b")))
    assert [plan.config.data.path for plan in apart] == ["d/a", "d-b"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the sweep file"):
        read_sweep(tmp_path / "none.toml")


def test_lines_are_found_whatever_the_quotes_and_tables() -> None:
    text = "a = 1\n[b . c] # note\n\"d.e\" = 2\n[[z]]\nk = 1\n[[z]]\n'k' = 2\n"
    assert line_of(text, "", "a") == 1
    assert line_of(text, "b", "c.d.e") == 3
    assert line_of(text, "z", "k", 0) == 5
    assert line_of(text, "z", "k", 1) == 7
    assert line_of(text, "z", "", 1) == 6
    assert line_of(text, "z", "no") == 0
    assert line_of(text, "", "b") == 2
    assert line_of("a.b = 1\nc = {d = 2}\n", "", "a") == 1
    assert line_of("a.b = 1\nc = {d = 2}\n", "c", "d") == 2


def test_ways_of_asking_fit_the_concepts_of_each_run(tmp_path):
    text = 'base = "quick"\n[axes]\n"data.concepts" = [["color", "size"], ["color", "shape"]]\n'
    (tmp_path / "sweep.toml").write_text(text)
    first, second = read_sweep(tmp_path / "sweep.toml")
    assert first.config.evaluate.protocols == PRESETS["quick"]().evaluate.protocols
    assert second.config.evaluate.protocols[:2] == ("overprompting-color", "overprompting-shape")
