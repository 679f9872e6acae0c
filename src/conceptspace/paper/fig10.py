"""Fig. 10: underspecification and hidden capabilities.

Claim: with half of the prompts masked, overprompting reaches an accuracy of 1 on the OOD class
while naive prompting fails in some seeds.

Cost: ``quick`` 3 runs with overprompting, shared with Figs. 8 and 9a; ``paper`` 5 runs of 20
minutes on an A100.

Command: ``conceptspace reproduce fig10 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import masked


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Half of the prompts masked."""
    return masked(preset, seeds or SEEDS[preset], 0.5)


FIGURE = PaperFigure(
    name="fig10",
    number="10",
    title="Underspecification and hidden capabilities",
    claim="With half of the prompts masked, overprompting reaches an accuracy of 1 on the OOD "
    "class while naive prompting fails in some seeds.",
    cost={"quick": "3 runs", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
)
