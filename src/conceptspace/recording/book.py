"""What a run has been asked and how it was scored, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from conceptspace.events import Evaluated
from conceptspace.files import write_table
from conceptspace.protocols.base import Protocol, offered
from conceptspace.recording.averages import Averages, agreements, together
from conceptspace.recording.evaluate import Generated
from conceptspace.recording.sheets import write_sheet
from conceptspace.store import Run, not_scored, read_scores
from conceptspace.tables import AGREED, JOINT, PROBE, SCORE_COLUMNS, VALID
from conceptspace.values import columns_of


class Book:
    """The scores and contact sheets of a run, written under its lock.

    Args:
        run: the folder.
        seed: of the run.
        classes: that are asked for.
    """

    def __init__(self, run: Run, seed: int, classes: Sequence[str]) -> None:
        self.run = run
        self.seed = seed
        self.classes = classes
        self.averages = Averages()

    def scored(self, protocol: str, step: int) -> set[tuple[str, str]]:
        """The pairs (setting, class) that have been scored.

        Raises:
            UserError: the scores are damaged.
        """
        known = self.averages.of(self.run.folder.scores(protocol, step))
        return known.asked if known is not None else set()

    def missing(self, protocol: Protocol, step: int) -> bool:
        """Whether a setting of a protocol has not been scored at a checkpoint.

        Raises:
            UserError: the scores are damaged.
        """
        there = self.scored(protocol.name, step)
        return any(
            (setting, str(c)) not in there for c in self.classes for setting in offered(protocol, c)
        )

    def store(self, protocol: str, step: int, generated: Sequence[Generated]) -> Evaluated:
        """Add the images of a checkpoint under one protocol; their scores are written last.

        Raises:
            UserError: what is there is damaged.
            OSError: it cannot be written.
        """
        path = self.run.folder.scores(protocol, step)
        scores = pd.concat(
            [
                g.scores.assign(setting=g.setting, concept_class=str(g.concept_class))
                for g in generated
            ],
            ignore_index=True,
        ).assign(run=self.run.name, seed=self.seed, step=step, protocol=protocol)
        second = [AGREED] if AGREED in scores else []
        scores = scores[[*SCORE_COLUMNS, VALID, PROBE, *second, *columns_of(scores)]]
        if path.exists():
            scores = pd.concat([read_scores(path), scores], ignore_index=True)
        write_sheet(self.run.folder.sheet(protocol, step), step, generated)
        write_table(path, scores)
        table = self.averages.learn(path, scores).table
        joint = table[table["concept"] == JOINT]
        best = joint.groupby("concept_class")["accuracy"].max()
        accuracies = {str(c): float(v) for c, v in best.items()}
        return Evaluated(step, protocol, accuracies, float(joint[VALID].mean()))

    def collect(self, concepts: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Gather the averages of all scores in ``trajectory.parquet``.

        Args:
            concepts: for each, ``run.json`` says how far probe and judge agree.
            metadata: kept with the table.

        Raises:
            UserError: nothing has been scored, or a file is damaged.
        """
        found = [self.averages.of(path) for path in self.run.folder.all_scores()]
        known = [averaged for averaged in found if averaged is not None]
        if not known:
            raise not_scored(self.run.path)
        write_table(self.run.folder.trajectory, together(known), metadata)
        self.run.note(probe_agreement=agreements(known, concepts))
