"""Eq. 1 fitted to the trajectories of given runs, as a table.

::

    python -m conceptspace.paper.fig05.report results/quick/runs/color-0.3/*/trajectory.parquet
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from conceptspace.analysis.theory_fit import Eq1Fit, fit_eq1
from conceptspace.analysis.trajectories import Paths, paths
from conceptspace.errors import UserError
from conceptspace.files import read_table
from conceptspace.tables import NAIVE

HEADING = """\
| trajectory | by way of | a | switch, step | unit, steps | ΔAICc | with a coupled | best null |\
 area, measured | area, fitted |
|---|---|---|---|---|---|---|---|---|---|"""


def report(table: pd.DataFrame, concept_class: str = "11") -> Iterator[str]:
    """Lines of a Markdown table: each seed, then the mean of all.

    Args:
        table: trajectories of one condition.
        concept_class: the class asked for.

    Raises:
        UserError: rows are missing, or not two concepts.
    """
    yield HEADING
    found = paths(table, NAIVE, concept_class)
    for i, seed in enumerate(found.seeds):
        one = slice(i, i + 1)
        alone = Paths((seed,), found.steps, found.concepts, found.values[one], found.samples[one])
        yield _line(f"seed {seed}", alone, concept_class)
    if len(found.seeds) > 1:
        yield _line(f"mean of {len(found.seeds)}", found, concept_class)


def _line(name: str, found: Paths, concept_class: str) -> str:
    free = fit_eq1(found, concept_class)
    coupled = fit_eq1(found, concept_class, coupled=True)
    null = min(free.nulls, key=lambda other: other.aicc)
    low, high = free.measured.interval
    interval = f" ({low:+.2f} to {high:+.2f})" if free.seeds > 1 else ""
    cells = [
        name,
        free.corner,
        _number(free, "asymmetry", ".2g"),
        _number(free, "switch", ".0f"),
        _number(free, "time_unit", ".0f"),
        f"{free.margin:+.1f}",
        f"{coupled.margin:+.1f}",
        null.family.name,
        f"{free.measured.area:+.2f}{interval}",
        f"{free.fitted_area:+.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _number(fitted: Eq1Fit, name: str, form: str) -> str:
    estimate = fitted.estimates[name]
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("tables", nargs="+", type=Path, metavar="TRAJECTORY.parquet")
    parser.add_argument("--class", dest="concept_class", default="11")
    options = parser.parse_args(arguments)
    try:
        absent = [path for path in options.tables if not path.is_file()]
        if absent:
            raise UserError(f"there is no file {absent[0]}")
        parts = [read_table(path, "score the run again") for path in options.tables]
        for line in report(pd.concat(parts, ignore_index=True), options.concept_class):
            print(line, flush=True)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
