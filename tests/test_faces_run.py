"""The whole experiment on images with attributes: training, probe, scores, protocols, page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conceptspace.config import RunConfig, merged, nested
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.session import Session
from conceptspace.presentation.page import write_page
from conceptspace.presets import quick
from conceptspace.protocols import registry
from conceptspace.store import Run, open_or_create
from conceptspace.tables import JOINT, PROBE, TRAJECTORY_COLUMNS, VALID
from faces import write_folder
from tiny import CPU, tiny_config

PROTOCOLS = ("overprompting-Smiling", "latent-intervention", "patching")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("celeba") / "data", 16)


def faces_config(root: Path, **changes: object) -> RunConfig:
    settings: dict[str, object] = {
        "data__kind": "celeba",
        "data__root": str(root),
        "data__images_per_class": 16,
        "evaluate__strengths": (1.4, 2.0),
        "evaluate__alphas": (1.0,),
        "evaluate__betas": (0.5,),
        "evaluate__protocols": PROTOCOLS,
    }
    return tiny_config(**(settings | changes))


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    run, _ = open_or_create(folder / "faces", faces_config(root))
    list(Session(run, CPU, folder / "probes").execute())
    return run


def test_a_run_has_the_same_tables_as_one_of_shapes(done: Run) -> None:
    table = done.trajectory()
    assert list(table.columns) == [*TRAJECTORY_COLUMNS, VALID, PROBE]
    assert set(table["concept"]) == {"Not_Male", "Smiling", JOINT}
    assert set(table["concept_class"]) == {"00", "01", "10", "11"}
    assert set(table["protocol"]) == {"naive", *PROTOCOLS}
    assert set(table["step"]) == {0, 4, 9}
    assert table[table["concept"] != JOINT]["coordinate"].between(0, 1).all()


def test_there_is_no_judge_and_the_probe_decides(done: Run) -> None:
    scores = done.scores()
    assert scores[VALID].isna().all()
    assert scores["accuracy"].equals(scores[PROBE])
    assert done.information()["probe_agreement"] == {}
    assert done.information()["probe"]["between"] == {}


def test_a_run_tells_which_data_it_saw(done: Run, root: Path) -> None:
    information = done.information()["data"]
    assert information["root"] == str(root)
    assert information["digest"] == parts.world(done.config.data).digest
    assert sorted(path.name for path in done.pictures.glob("*")) == [
        "00.png",
        "01.png",
        "10.png",
        "11.png",
    ]


def test_the_page_needs_no_data_and_tells_which_there_were(
    done: Run, root: Path, tmp_path: Path
) -> None:
    hidden = root.with_name("hidden")
    root.rename(hidden)
    try:
        found = write_page([done], tmp_path / "page.html")
    finally:
        hidden.rename(root)
    (seen,) = [finding.text for finding in found if finding.topic == "data"]
    assert f"16 of each class from {root}, scaled to 8×8" in seen
    assert "Not_Male and Smiling" in seen
    assert done.information()["data"]["digest"][:16] in seen
    assert seen.split(",")[0] in (tmp_path / "page.html").read_text()
    assert not any(finding.topic == "readout" for finding in found)
    figures = {p.stem for p in (tmp_path / "page-figures").glob("*.png")}
    assert figures >= {"trajectory", "elicitation"}


def test_training_goes_on_with_the_same_images(root: Path, tmp_path: Path) -> None:
    """Jitter and flips depend on the step, so an interrupted run ends as one that was not."""
    config = faces_config(root, evaluate__protocols=())
    whole, _ = open_or_create(tmp_path / "whole", config)
    halted, _ = open_or_create(tmp_path / "halted", config)
    list(Session(whole, CPU, tmp_path / "probes").execute())
    asked = iter(range(100))
    with pytest.raises(Exception, match="stopped at step 5"):
        list(Session(halted, CPU, tmp_path / "probes").execute(lambda: next(asked) == 4))
    list(Session(halted, CPU, tmp_path / "probes").execute())
    columns = ["step", "concept_class", "concept", "accuracy"]
    pd.testing.assert_frame_equal(halted.trajectory()[columns], whole.trajectory()[columns])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate__strengths": (0.3, 1.9)}, "must all exceed 1"),
        ({"evaluate__protocols": ("overprompting-color",)}, "no protocol 'overprompting-color'"),
        ({"probe__images_per_class": 9}, r"take 9 \+ 8 of the 16 images"),
        ({"data__root": ""}, "needs data.root"),
        ({"data__root": "nowhere"}, "cannot read the attributes nowhere/list_attr_celeba.txt"),
        ({"data__attributes": ("Male", "Smile")}, "no attribute 'Smile'; did you mean Smiling"),
        ({"data__images_per_class": 99}, "16 images of class 00"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    root: Path, changes: dict[str, object], message: str
) -> None:
    config = faces_config(root, **changes)
    with pytest.raises(UserError, match=message):
        parts.validate(config)


def test_a_sweep_of_weak_prompts_is_refused(root: Path) -> None:
    config = faces_config(root, evaluate__strengths=(1.0,), evaluate__protocols=())
    parts.validate(config)
    with pytest.raises(UserError, match="must all exceed 1"):
        registry.make("overprompting-Smiling", parts.context(config))


def test_overprompting_exaggerates_one_attribute(root: Path) -> None:
    config = faces_config(root)
    asked = registry.make("overprompting-Smiling", parts.context(config))
    world = parts.world(config.data)
    h = world.class_mean("11")[None]
    _, stronger = asked.settings("11")["2"](parts.model(config), h)
    assert stronger.tolist() == [[0, 1, -0.5, 1.5]]


@pytest.mark.slow
def test_the_stronger_attribute_is_memorized_first(root: Path, tmp_path: Path) -> None:
    """Under a minute: 400 steps at 16x16. Hair is many pixels, the mouth is few."""
    changes = {
        "data.kind": "celeba",
        "data.root": str(write_folder(tmp_path / "faces", 200)),
        "data.images_per_class": 200,
        "train.steps": 400,
        "train.checkpoints": 8,
        "train.first_checkpoint": 50,
        "probe.images_per_class": 160,
        "probe.held_out_per_class": 40,
        "probe.steps": 120,
        "evaluate.samples": 16,
        "evaluate.sampling_steps": 12,
        "evaluate.protocols": (),
    }
    run, _ = open_or_create(tmp_path / "run", merged(quick(), nested(changes), "test"))
    list(Session(run, CPU, tmp_path / "probes").execute())
    assert min(run.information()["probe"]["accuracy"].values()) > 0.95
    table = run.trajectory()
    last = table[(table["step"] == 400) & (table["concept"] == JOINT)]
    joint = last.set_index("concept_class")["accuracy"]
    assert joint[["00", "01", "10"]].min() > 0.8
    ood = table[(table["concept_class"] == "11") & (table["concept"] != JOINT)]
    wide = ood.pivot_table(index="step", columns="concept", values="accuracy")
    assert wide["Not_Male"].max() > 0.8
    assert (wide["Not_Male"] - wide["Smiling"]).max() > 0.5
