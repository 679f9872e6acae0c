"""Figs. 4 and 13: concept signal governs generalization dynamics.

Claim: under an OOD prompt the trajectory first heads for the training class of the stronger
concept, so it changes sides along a sweep of the color separation, and then turns; the training
classes go straight.

Cost: ``quick`` 15 naive runs, shared with Figs. 3 and 5; ``paper`` 30 runs of 20 minutes on an
A100.

Command: ``conceptspace reproduce fig04 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import COLORS, color


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every color separation."""
    of = seeds or SEEDS[preset]
    return [plan for level in COLORS[preset] for plan in color(preset, of, level)]


FIGURE = PaperFigure(
    name="fig04",
    number="4 and 13",
    title="Concept signal governs generalization dynamics",
    claim="The OOD trajectory first heads for the training class of the stronger concept, then "
    "turns; trajectories of training classes go straight.",
    cost={"quick": "15 naive runs", "paper": "30 runs of 20 minutes on an A100"},
    plans=plans,
)
