"""The numbers beside a verdict are those that it was told from, also without single scores."""

from __future__ import annotations

import shutil

import pytest
from evaluated import write_evaluated

from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.verdict import accuracies, windows
from conceptspace.errors import UserError
from conceptspace.files import write_table
from conceptspace.presentation.explorer.judged import judged
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.telling import told, verdict
from conceptspace.store import BEST, Run

TURNS = {
    "naive": {"": 1900.0},
    "overprompting-color": {"2.5": 700.0, "4.5": 900.0},
    "latent-control-random": {"alpha=1,beta=1": 1950.0},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_evaluated(tmp_path_factory.mktemp("judged") / "one", 3, turns=TURNS)


def test_the_accuracies_are_those_of_the_verdict(run):
    best = best_settings(run.trajectory(), run.scores())
    found = judged(best, "11")
    wide, (window,) = accuracies(best, "11"), windows(best, "11")
    assert {way["name"]: way["kind"] for way in found["ways"]} == {
        "naive": "naive",
        "overprompting-color": "way",
        "latent-control-random": "control",
    }
    for way in found["ways"]:
        assert way["seeds"]["3"] == pytest.approx(wide.loc[3][way["name"]].tolist(), abs=1e-4)
    assert found["images"] == 16
    assert found["windows"] == [
        {"seed": 3, "first": window.first, "last": window.last, "way": "overprompting-color"}
    ]
    assert judged(best[best["protocol"] == "naive"], "11") == {}


def test_a_kept_run_tells_the_same_verdict(run, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("config.toml", "run.json", "trajectory.parquet"):
        shutil.copy(run.path / name, kept / name)
    assert verdict(Run(kept))[0] == "Hidden capability: not to be told."
    write_table(kept / BEST, best_settings(run.trajectory(), run.scores()))
    assert verdict(Run(kept)) == verdict(run)
    assert verdict(run)[0].startswith("Hidden capability: yes. From step")
    (of_kept,), (of_run,) = told([Run(kept)]), told([run])
    assert of_kept.judged == of_run.judged
    (kept / BEST).write_bytes(b"PAR1 no table")
    with pytest.raises(UserError, match=r"best\.parquet is damaged"):
        verdict(Run(kept))
    (token,) = [entry["token"] for entry in Library([kept]).index()["runs"]]
    library = Library([kept])
    library.index()
    assert "best.parquet is damaged" in " ".join(library.findings([token])["problems"])
