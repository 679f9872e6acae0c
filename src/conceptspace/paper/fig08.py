"""Fig. 8: underspecification delays out-of-distribution generalization.

Claim: the steps to an accuracy of 0.8 on the OOD class (blue triangle) grow with the share of red
triangles whose prompt does not tell the color.

Cost: ``quick`` 12 runs, shared with Figs. 7b, 9a, 9b and 10; ``paper`` 35 runs of 20 minutes on an
A100.

Command: ``conceptspace reproduce fig08 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import SHARES, masked


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every share of masked prompts."""
    of = seeds or SEEDS[preset]
    return [plan for share in SHARES[preset] for plan in masked(preset, of, share)]


FIGURE = PaperFigure(
    name="fig08",
    number="8",
    title="Underspecification delays generalization",
    claim="The steps to an accuracy of 0.8 on the OOD class grow with the share of masked prompts.",
    cost={"quick": "12 runs", "paper": "35 runs of 20 minutes on an A100"},
    plans=plans,
)
