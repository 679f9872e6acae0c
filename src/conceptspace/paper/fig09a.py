"""Figs. 7b and 9a: underspecification hinders out-of-distribution generalization.

Claim: as the share of masked prompts grows, the color of the OOD class (blue triangle) goes from
blue over purple to red.

Cost: ``quick`` 12 runs, shared with Figs. 8, 9b and 10; ``paper`` 35 runs of 20 minutes on an
A100.

Command: ``conceptspace reproduce fig09a --preset quick``
"""

from __future__ import annotations

from conceptspace.paper import fig08
from conceptspace.paper.figure import PaperFigure

FIGURE = PaperFigure(
    name="fig09a",
    number="7b and 9a",
    title="Underspecification hinders generalization",
    claim="As the share of masked prompts grows, the color of the OOD class goes from blue over "
    "purple to red.",
    cost=fig08.FIGURE.cost,
    plans=fig08.plans,
)
