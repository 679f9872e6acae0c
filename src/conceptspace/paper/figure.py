"""What a figure of the paper is here: its claim, its runs, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conceptspace.paper.plan import Plan


@dataclass(frozen=True)
class PaperFigure:
    """One figure, or several that show the same runs.

    Attributes:
        name: on the command line and of its folder, e.g. ``fig04``.
        number: in the paper, e.g. ``"4 and 13"``.
        title: a phrase.
        claim: what the paper says that it shows, one sentence.
        cost: by preset, in words.
        plans: its runs, from the preset's name and the seeds; none for the paper's own seeds.
    """

    name: str
    number: str
    title: str
    claim: str
    cost: Mapping[str, str]
    plans: Callable[[str, Sequence[int] | None], list[Plan]]
