"""A folder of fabricated runs with images: a sweep of the color separation, two seeds each."""

from __future__ import annotations

import json
from pathlib import Path

from evaluated import write_evaluated
from fabricated import make_space, write_sheets

from conceptspace.store import Run

SHOWN = "sweep"
TURNS = {0.2: (900.0, 500.0), 0.3: (1500.0, 700.0), 0.5: (9000.0, 1100.0)}
"""Of each color separation the step at which naive prompting and overprompting show class 11."""

LEDGER = [
    {
        "claim": "Overprompting reaches class 11 earlier than naive prompting",
        "figure": "6",
        "effect": 612.5,
        "unit": "steps",
        "interval": [130.0, 1100.0],
        "criterion": "the interval lies above 0",
        "verdict": "held",
    },
    {
        "claim": "Guidance does not elicit class 11 before the turn",
        "figure": "16",
        "effect": None,
        "interval": [None, None],
        "criterion": "the interval lies within 200 steps of 0",
        "verdict": "undecided",
        "reason": "too few seeds",
    },
]


def write_shown(root: Path) -> list[Run]:
    """Six runs with scores, training log and images, and a ledger of claims."""
    runs = []
    for separation, (naive, over) in TURNS.items():
        for seed in (0, 1):
            sweep = {"2.5": over + 200 * seed, "4.5": over + 300}
            turns = {"naive": {"": naive + 250 * seed}, "overprompting-color": sweep}
            folder = root / f"separation-{separation:g}" / f"seed-{seed}"
            varied = {"data.color_separation": separation}
            run = write_evaluated(folder, seed, varied, turns, by_step=True)
            note = json.loads((folder / "run.json").read_text())
            (folder / "run.json").write_text(json.dumps(note | {"status": "finished"}))
            for protocol, each in turns.items():
                write_images(run, protocol, each, seed)
            runs.append(run)
    (root / "ledger.json").write_text(json.dumps(LEDGER))
    return runs


def write_images(run: Run, protocol: str, settings: dict[str, float], seed: int) -> None:
    """Contact sheets at the run's own checkpoints."""
    table = run.trajectory()
    steps = sorted(table[table["protocol"] == protocol]["step"].unique())
    folder = run.path / "samples" / protocol
    write_sheets(folder, make_space(2), settings, seed, steps=[int(step) for step in steps])
