"""Fig. 15: three concepts, one success and one failure.

Claim: with a strong color the concepts are learned in the order of their signals and every OOD
class is generated in the end; with a weak background some OOD classes never show the background
that is asked for.

Cost: ``quick`` 6 runs of 4000 steps; ``paper`` 10 runs of 80 000 steps, 80 minutes each on an A100.

Command: ``conceptspace reproduce fig15 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import three

CASES = ("success", "failure")


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Both cases."""
    return [plan for case in CASES for plan in three(preset, seeds or SEEDS[preset], case)]


FIGURE = PaperFigure(
    name="fig15",
    number="15",
    title="Three concepts: a success and a failure",
    claim="With a strong color every OOD class is generated in the end; with a weak background "
    "some OOD classes never show the background that is asked for.",
    cost={"quick": "6 runs of 4000 steps", "paper": "10 runs of 80 minutes on an A100"},
    plans=plans,
)
