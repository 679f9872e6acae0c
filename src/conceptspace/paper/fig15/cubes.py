"""A page on which trajectories over three concepts can be turned (paper Fig. 15)."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from conceptspace.paper.fig15.drawing import mean_paths
from conceptspace.presentation.figures.square import axis_label
from conceptspace.presentation.series import series
from conceptspace.space import ConceptSpace

Case = tuple[pd.DataFrame, ConceptSpace]
"""Naive trajectories of one or more runs, and their three concepts."""

TEMPLATE = Path(__file__).with_name("cube.html")


def cube_page(cases: Mapping[str, Case], title: str = "Trajectories over three concepts") -> str:
    """One self-contained page; it loads nothing.

    Args:
        cases: under their titles; each has three concepts.
        title: of the page.

    Raises:
        UserError: a case has not three concepts.
    """
    data = json.dumps([_case(name, *case) for name, case in cases.items()], allow_nan=False)
    safe = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    page = TEMPLATE.read_text().replace("{{ title }}", html.escape(title))
    return page.replace("{{ data }}", safe)


def _case(name: str, table: pd.DataFrame, space: ConceptSpace) -> dict[str, Any]:
    steps = series(table, str(space.classes[0]), space.names[0], "coordinate").steps
    return {
        "name": name,
        "steps": steps.tolist(),
        "axes": [axis_label(space, index) for index in range(3)],
        "classes": [
            {
                "name": concept_class,
                "label": space.describe(concept_class),
                "ood": concept_class in space.ood_classes,
                "points": curve.round(4).tolist(),
            }
            for concept_class, curve in mean_paths(table, space).items()
        ],
    }
