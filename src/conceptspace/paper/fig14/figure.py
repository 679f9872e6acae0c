"""Fig. 14: concept space dynamics in CelebA, and what interventions elicit (App. C.3).

The paper's first version has the attributes gender and smiling, its later one gender and hat, and a
panel (b). ``quick`` runs on drawn faces that imitate both pairs. ``paper`` needs the photographs,
which are not ours to give: the environment variable CONCEPTSPACE_CELEBA names a folder that holds
img_align_celeba and list_attr_celeba.txt or .csv. Without it there are no such runs, and ``all``
leaves the figure out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.errors import UserError
from conceptspace.paper.fig14 import criteria
from conceptspace.paper.fig14.pair import Pair, analysed
from conceptspace.paper.fig14.runs import (
    ADDED_SEEDS,
    PAIRS,
    RANDOM,
    VARIABLE,
    labels,
    planned,
    possible,
    protocols,
    setting,
)
from conceptspace.paper.framework.caption import caption, enlarged
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result
from conceptspace.presentation.figures import elicitation_figure, image_strips, trajectory_figure
from conceptspace.tables import NAIVE


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        pairs: by pair of attributes, for pairs of which a run has finished.
        added: the same of the seeds alone by which the samples were enlarged.
    """

    pairs: Mapping[str, Pair]
    added: Mapping[str, Pair]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """The results of the runs of each pair.

    Raises:
        UserError: no run has finished, or one kept no scores of single images.
    """
    if not results:
        images = (
            f"; it needs CelebA: set {VARIABLE} to the folder that holds img_align_celeba and "
            "list_attr_celeba.txt"
        )
        raise UserError(f"no run has finished{'' if possible(preset) else images}")
    found = {
        pair: [r for r in results if r.plan.name.startswith(f"{setting(pair)}/")] for pair in PAIRS
    }
    added = {pair: [r for r in of if r.seed in ADDED_SEEDS] for pair, of in found.items()}
    return Data(
        {pair: analysed(of) for pair, of in found.items() if of},
        {pair: analysed(of) for pair, of in added.items() if 0 < len(of) < len(found[pair])},
    )


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """For each pair (a) the trajectories, (b) every way of asking; and images of one seed."""
    figures: dict[str, Figure] = {}
    for pair, of in data.pairs.items():
        what = f"{TITLE}: {' and '.join(of.space.names)}"
        figures[f"fig14a-{pair}"] = trajectory_figure(
            of.table[of.table["protocol"] == NAIVE],
            of.space,
            of.images,
            turn=of.turn,
            title=what,
            subtitle=caption(rows[f"fig14-{pair}-stronger"]),
        )
        figures[f"fig14b-{pair}"] = elicitation_figure(
            of.table,
            of.ood,
            best=of.best,
            protocols=[NAIVE, *protocols(pair)],
            turn=of.turn,
            labels=labels(pair),
            title=what,
            subtitle=caption(rows[f"fig14-{pair}-hidden"]),
        )
        if len(of.sheets) > 1:
            figures[f"images-{pair}"] = image_strips(
                of.sheets,
                of.space,
                table=of.shown,
                class_images=of.images,
                title=f"Images of one run, seed {of.shown['seed'].iloc[0]}",
            )
    return figures


def checks(data: Data) -> list[Row]:
    """The hidden window of the hat, which decides; then everything else of both pairs.

    What the seeds say alone by which a sample was enlarged stands beside it, and decides nothing.
    """
    found: list[Row] = []
    for pair, of in sorted(data.pairs.items()):
        rows = _rows(pair, of)
        added = data.added.get(pair)
        found += rows if added is None else enlarged(rows, _rows(pair, added))
    return found


def _rows(pair: str, of: Pair) -> list[Row]:
    return [
        criteria.hidden(pair, of.space.describe(of.ood), [w.found for w in of.windows]),
        criteria.leaning(pair, of.leanings),
        criteria.memorized(pair, of.taken_for),
        criteria.turns(pair, of.turned),
        criteria.incomplete(pair, of.ends),
        criteria.gain(pair, of.gains("latent-intervention", NAIVE)),
        criteria.specific(pair, of.gains("latent-intervention", RANDOM)),
    ]


TITLE = "Faces with attributes"

FIGURE = PaperFigure(
    name="fig14",
    number="14",
    title=TITLE,
    claim="The class that was held out (not male and smiling, or with hat) first stays near class "
    "10, which shares the stronger attribute, then turns; it does not generalize fully, and "
    "latent interventions make more of it than naive prompting around the turn.",
    cost={
        "quick": "32 runs of 1600 steps on drawn faces",
        "paper": "10 runs of 24 hours on an A100, if CELEBA is there",
    },
    plans=planned,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig14-hat-hidden",
    endpoint="share of seeds with a hidden window, gender and hat: above 1/2",
    possible=possible,
    keeps=("images", "images over training"),
)
