"""Fig. 6: emergence of hidden capabilities.

Claim: overprompting and latent intervention reach the OOD class earlier than naive prompting, at
about the same step in every seed and about where the trajectory turns; naive prompting varies from
seed to seed and may never arrive.

Cost: ``quick`` 4 runs with every protocol, shared with Figs. 1c and 12; ``paper`` 5 runs of 20
minutes on an A100 and their protocols.

Command: ``conceptspace reproduce fig06 --preset quick``
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.settings import studied

QUICK_SEEDS = (0, 1, 2, 3)


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """The studied setting under every protocol."""
    return studied(preset, seeds or (QUICK_SEEDS if preset == "quick" else SEEDS[preset]))


FIGURE = PaperFigure(
    name="fig06",
    number="6",
    title="Emergence of hidden capabilities",
    claim="Overprompting and latent intervention reach the OOD class earlier than naive prompting, "
    "at about the same step in every seed and about where the trajectory turns; naive prompting "
    "varies from seed to seed.",
    cost={"quick": "4 runs with every protocol", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
)
