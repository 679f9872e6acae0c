"""The numbers behind a verdict, for the pictures beside its sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from conceptspace.analysis.points import numbers
from conceptspace.analysis.verdict import SCALING, accuracies, gates, others, windows_of
from conceptspace.tables import NAIVE

Tree = dict[str, Any]


def judged(best: pd.DataFrame, ood: str) -> Tree:
    """Joint accuracies by the judge; settings chosen on some of the images, scored on the others.

    ::

        {"class": "11", "images": 32, "steps": [175, ...],
         "ways": [{"name": "naive", "kind": "naive", "seeds": {"200": [0.1, ...]}}, ...],
         "windows": [{"seed": 200, "first": 2275, "last": 3325, "way": "overprompting-color"}]}

    ``kind`` is "naive", "way" or "control"; a way that the verdict does not look at is left out.
    Values that were not measured are null. Empty without another way of asking.

    Args:
        best: see :func:`conceptspace.analysis.elicitation.best_settings`.
        ood: the OOD class.
    """
    wide = accuracies(best, ood)
    names = [str(name) for name in wide.columns]
    asked = others(names)
    if not asked or NAIVE not in names:
        return {}
    steps, seeds = wide.index.unique("step").sort_values(), wide.index.unique("seed")
    kinds = {NAIVE: "naive"} | dict.fromkeys(asked, "way")
    kinds |= {name: "control" for name in names if name in (*gates(names), SCALING)}
    return {
        "class": ood,
        "images": int(best[best["concept_class"] == ood]["samples"].min()),
        "steps": [int(step) for step in steps],
        "ways": [
            {
                "name": name,
                "kind": kind,
                "seeds": {
                    str(seed): numbers(wide.loc[seed][name].reindex(steps).to_numpy())
                    for seed in seeds
                },
            }
            for name, kind in kinds.items()
        ],
        "windows": [
            {"seed": w.seed, "first": int(w.first), "last": int(w.last), "way": w.protocol}
            for w in windows_of(wide)
            if w.found
        ],
    }
