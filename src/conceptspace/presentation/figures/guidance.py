"""Trajectories under classifier-free guidance of any weight (paper Fig. 16)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from conceptspace.presentation.figures.conditions import conditions_figure
from conceptspace.presentation.series import of_protocol
from conceptspace.space import ConceptSpace

PROTOCOL = "guidance"


def guidance_figure(
    table: pd.DataFrame,
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """One unit square per class; in it one trajectory per guidance weight.

    Args:
        table: trajectories of one or more runs with the protocol ``guidance``, whose settings are
            the weights w as text.
        space: at least two concepts.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1].
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.

    Raises:
        UserError: there are no such rows, or only one concept.
    """
    rows = of_protocol(table, PROTOCOL)
    measured = set(rows["concept_class"])
    weights = sorted(rows["setting"].unique(), key=float)
    return conditions_figure(
        {f"w = {weight}": rows[rows["setting"] == weight] for weight in weights},
        space,
        class_images,
        label="guidance weight (0 ignores the prompt, 1 is naive prompting)",
        classes=[str(c) for c in space.classes if c in measured],
        protocol=PROTOCOL,
        title=title,
        subtitle=subtitle,
    )
