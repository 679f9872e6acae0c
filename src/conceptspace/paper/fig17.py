"""Fig. 17: patching the condition embedding.

Claim: the last checkpoint's embedding elicits the OOD class from earlier checkpoints at about the
step of the other protocols, in the seeds whose accuracy stays high once it is reached, and not in
the unstable ones.

Cost: ``quick`` 3 runs with three protocols; ``paper`` the 5 runs of Fig. 6.

Command: ``conceptspace reproduce fig17 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import patched


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Runs whose every checkpoint is asked with the last one's embedding."""
    return patched(preset, seeds or SEEDS[preset])


FIGURE = PaperFigure(
    name="fig17",
    number="17",
    title="Embedding patching",
    claim="The last checkpoint's condition embedding elicits the OOD class at about the step of "
    "the other protocols in stable seeds, and not in unstable ones.",
    cost={"quick": "3 runs with three protocols", "paper": "the 5 runs of Fig. 6"},
    plans=plans,
)
