"""Fig. 16: learning dynamics under classifier-free guidance.

Claim: the OOD trajectory shows the same turn under any guidance weight; guidance has no effect
before it.

Cost: ``quick`` 3 runs; ``paper`` 5 runs of 20 minutes on an A100 and their guidance sweep.

Command: ``conceptspace reproduce fig16 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import guided


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Runs trained for guidance, asked with every weight."""
    return guided(preset, seeds or SEEDS[preset])


FIGURE = PaperFigure(
    name="fig16",
    number="16",
    title="Classifier-free guidance",
    claim="The OOD trajectory shows the same turn under any guidance weight, and guidance has no "
    "effect before it.",
    cost={"quick": "3 runs", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
)
