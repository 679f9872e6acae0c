"""A protocol's scores are made with one definition of it, which ``run.json`` keeps."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from conceptspace.cli import main
from conceptspace.config import merged
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.asked import keep_asked
from conceptspace.files import write_table
from conceptspace.protocols import registry
from conceptspace.settings.description import Section
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import TINY, tiny_config, tiny_session

SWAPPED = {"latent-intervention": {"add": "size", "remove": "color"}}

OTHERWISE = {
    "latent-intervention": SWAPPED,
    "latent-control-random": SWAPPED,
    "fine-tuning-training": {"fine-tuning": {"learning_rate": 0.5}},
    "fine-tuning-held-out-lora": {"fine-tuning": {"rank": 8}},
    "steering-color": {"steering": {"prompts": 3}},
    "embedding-steering-control-size": {"embedding-steering": {"prompts": 3}},
}
"""Settings that no setting's name holds."""

ALIKE = {
    "latent-intervention": {"latent-intervention": {"add": "color", "remove": "size"}},
    "fine-tuning-training": {"fine-tuning": {"rank": 8, "steps": (3,), "examples": (2,)}},
    "steering-color": {"steering": {"module": "network.trunk.down.1.0", "strengths": (3.0,)}},
    "embedding-scaling": {"embedding-scaling": {"strengths": (7.0,)}},
}
"""What is so by default, what is not used, and what the names of settings hold."""


def scored(folder: Path, name: str) -> Run:
    """A run whose first checkpoint has been scored under a protocol, as far as it matters here."""
    run, _ = open_or_create(folder, TINY)
    path = run.folder.scores(name, 0)
    path.parent.mkdir(parents=True)
    path.touch()
    return run


def ask(run: Run, name: str, own: dict) -> None:
    keep_asked(run, merged(run.config, {"protocols": own}, "test"), [name])


@pytest.mark.parametrize("name", OTHERWISE)
def test_another_definition_is_refused_where_there_are_scores(tmp_path, name):
    run = scored(tmp_path / "run", name)
    ((section, changes),) = OTHERWISE[name].items()
    key = f"protocols.{section}.{next(iter(changes))}"
    with pytest.raises(UserError, match=rf"was asked by {name} with {key} = .*, not ") as told:
        ask(run, name, OTHERWISE[name])
    assert f"rm -r {run.path}/scores/{name} {run.path}/samples/{name}" in str(told.value)
    assert "asked" not in run.information()
    ask(run, name, {})
    assert run.information()["asked"][name].keys() >= {key}


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_record_counts_and_not_the_config(tmp_path, name):
    run, _ = open_or_create(tmp_path / "run", TINY)
    ask(run, name, OTHERWISE[name])
    scored(run.path, name)
    ask(run, name, OTHERWISE[name])
    with pytest.raises(UserError, match=f"was asked by {name} with"):
        ask(run, name, {})
    shutil.rmtree(run.path / "scores")
    ask(run, name, {})


@pytest.mark.parametrize("name", ALIKE)
def test_what_changes_no_definition_is_asked(tmp_path, name):
    ask(scored(tmp_path / "run", name), name, ALIKE[name])


@pytest.mark.usefixtures("own_protocols")
def test_settings_of_ones_own_count_unless_names_hold_them(tmp_path):
    @registry.protocol
    class Mine(Section):
        name: ClassVar[str] = "mine"
        factors: tuple[float, ...] = (1.0,)
        at: str = "start"
        by: int = 2

        def settings(self, concept_class):
            return {f"at={self.at},{k:g}": lambda model, h: (model, h) for k in self.factors}

    run = scored(tmp_path / "run", "mine")
    ask(run, "mine", {"mine": {"at": "end", "factors": (2.0,)}})
    assert run.information()["asked"] == {"mine": {"protocols.mine.by": 2}}
    with pytest.raises(UserError, match=r"with protocols\.mine\.by = 2, not 3"):
        ask(run, "mine", {"mine": {"by": 3}})


def test_a_session_and_a_dry_run_refuse_it(tmp_path, capsys):
    run = scored(tmp_path / "run", "latent-intervention")
    session = tiny_session(run.path, TINY, tmp_path / "probes")
    with pytest.raises(UserError, match="add = 'color', not 'size', and its table"):
        next(session.evaluate(["latent-intervention"], own=SWAPPED))
    assert not (tmp_path / "probes").exists()
    checkpoint.save(run.checkpoints, 0, {})
    words = f"evaluate {run.path} --dry-run --protocol latent-intervention"
    flags = "--protocols.latent-intervention.add size --protocols.latent-intervention.remove color"
    assert main(f"{words} {flags}".split()) == 2
    assert "was asked by latent-intervention with" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_what_was_asked_otherwise(tmp_path):
    config = tiny_config(evaluate__protocols=["latent-intervention"])
    run, _ = open_or_create(tmp_path / "run", config)
    run.note(asked={"latent-intervention": {"protocols.latent-intervention.add": "size"}})
    scores = run.folder.scores("latent-intervention", 0)
    scores.parent.mkdir(parents=True)
    scores.touch()
    with pytest.raises(UserError, match=r"latent-intervention\.add = 'size', not 'color'"):
        next(tiny_session(run.path, config, tmp_path / "probes").execute())


def settings_scored(folder: Path, name: str, own: dict | None = None) -> Run:
    """A run whose first checkpoint has scores of every setting of a protocol."""
    run, _ = open_or_create(folder, TINY)
    config = merged(run.config, {"protocols": own or {}}, "test")
    made = registry.make(name, parts.context(config))
    settings = list(made.settings("11"))
    table = pd.DataFrame({"setting": settings})
    path = run.folder.scores(name, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, table)
    return run


CONTROLS = ("latent-control-scaling", "latent-control-random")


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("control_first", [True, False])
def test_a_control_moves_what_it_controls_moves(tmp_path, control, control_first):
    first, then = (control, "latent-intervention")[:: 1 if control_first else -1]
    run = settings_scored(tmp_path / "run", first)
    with pytest.raises(UserError, match=f"was asked by {first} with .*add = 'color', and") as told:
        ask(run, then, SWAPPED)
    assert f"{then} with 'size' would not match it" in str(told.value)
    assert f"rm -r {run.path}/scores/{first} {run.path}/samples/{first}" in str(told.value)
    assert "asked" not in run.information()
    ask(run, then, {})
    ask(run, "latent-intervention-text", SWAPPED)  # it has no control
    shutil.rmtree(run.path / "scores")
    ask(run, then, SWAPPED)


@pytest.mark.parametrize(
    ("control", "of", "own"),
    [
        *((name, "latent-intervention", {}) for name in CONTROLS),
        ("steering-control-color", "steering-color", {"steering": {"strengths": (3.0,)}}),
        ("fine-tuning-training-control", "fine-tuning-training", {"fine-tuning": {"steps": (3,)}}),
    ],
)
def test_a_control_has_the_settings_of_what_it_controls(tmp_path, control, of, own):
    run = settings_scored(tmp_path / "run", control)
    config = merged(run.config, {"protocols": own, "evaluate": {"alphas": (1.0, 7.0)}}, "test")
    with pytest.raises(UserError, match=f"would have {of} with .*, and {control} without") as told:
        keep_asked(run, config, [of])
    assert f"at once, with: --protocol {of} --protocol {control}" in str(told.value)
    keep_asked(run, config, ["overprompting-color"])
    keep_asked(run, run.config, [of])
    for scored in (control, of):
        settings_scored(run.path, scored)
    keep_asked(run, config, [control, of])
    assert registry.controlled(control) == of


def test_what_has_no_scores_has_to_match_nothing(tmp_path):
    run = settings_scored(tmp_path / "run", "latent-control-random")
    shutil.rmtree(run.path / "scores")
    keep_asked(run, merged(run.config, {"evaluate": {"alphas": (7.0,)}}, "test"), ["guidance"])
    ask(run, "latent-intervention", SWAPPED)
    assert registry.controlled("steering-color") == registry.controlled("nobody") == ""
