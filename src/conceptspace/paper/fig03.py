"""Fig. 3: concept signal determines learning speed.

Claim: 1 / (steps to an accuracy of 0.8 on class 11) rises with the concept signal, for color and
for size; the signal is the pixel distance between the classes.

Cost: ``quick`` 21 naive runs; ``paper`` 45 runs of 20 minutes on an A100.

Command: ``conceptspace reproduce fig03 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import COLORS, SIZES, color, size


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every color separation, and every size separation at the preset's color."""
    of = seeds or SEEDS[preset]
    colors = [plan for level in COLORS[preset] for plan in color(preset, of, level)]
    sizes = [plan for level in SIZES[preset] for plan in size(preset, of, level)]
    return colors + sizes


FIGURE = PaperFigure(
    name="fig03",
    number="3",
    title="Concept signal determines learning speed",
    claim="1 / (steps to an accuracy of 0.8 on class 11) rises with the concept signal, for color "
    "and for size.",
    cost={"quick": "21 naive runs", "paper": "45 runs of 20 minutes on an A100"},
    plans=plans,
)
