"""What a run has been asked and how it was scored, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from conceptspace.events import Evaluated
from conceptspace.files import write_table
from conceptspace.protocols.base import Protocol
from conceptspace.recording.evaluate import Generated
from conceptspace.recording.scoring import agreement, trajectory
from conceptspace.recording.sheets import write_sheet
from conceptspace.store import Run, read_scores
from conceptspace.tables import JOINT, PROBE, SCORE_COLUMNS, VALID
from conceptspace.training.checkpoint import step_name
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

    def scored(self, protocol: str, step: int) -> set[tuple[str, str]]:
        """The pairs (setting, class) that are there.

        Raises:
            UserError: the scores are damaged.
        """
        stored = self._stored(protocol, step)
        if stored is None:
            return set()
        pairs = stored[["setting", "concept_class"]].drop_duplicates()
        return set(pairs.itertuples(index=False, name=None))

    def missing(self, protocol: Protocol, step: int) -> bool:
        """Whether a setting of a protocol has not been scored at a checkpoint.

        Raises:
            UserError: the scores are damaged.
        """
        there = self.scored(protocol.name, step)
        return any(
            (setting, str(c)) not in there for c in self.classes for setting in protocol.settings(c)
        )

    def store(self, protocol: str, step: int, generated: Sequence[Generated]) -> Evaluated:
        """Add what a checkpoint made under one protocol; the scores are written last.

        Raises:
            UserError: what is there is damaged.
            OSError: it cannot be written.
        """
        stored = self._stored(protocol, step)
        scores = pd.concat(
            [
                g.scores.assign(setting=g.setting, concept_class=str(g.concept_class))
                for g in generated
            ],
            ignore_index=True,
        ).assign(run=self.run.name, seed=self.seed, step=step, protocol=protocol)
        columns = [*SCORE_COLUMNS, VALID, PROBE, *columns_of(scores)]
        scores = pd.concat([stored, scores[columns]], ignore_index=True)
        write_sheet(
            self.run.path / "samples" / protocol / f"{step_name(step)}.png", step, generated
        )
        write_table(self._path(protocol, step), scores)
        table = trajectory(scores)
        joint = table[table["concept"] == JOINT]
        best = joint.groupby("concept_class")["accuracy"].max()
        accuracies = {str(c): float(v) for c, v in best.items()}
        return Evaluated(step, protocol, accuracies, float(joint[VALID].mean()))

    def collect(self, concepts: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Average all scores into ``trajectory.parquet``.

        Args:
            concepts: of which ``run.json`` tells how far probe and judge agree.
            metadata: kept with the table.

        Raises:
            UserError: nothing has been scored, or a file is damaged.
        """
        scores = self.run.scores()
        write_table(self.run.path / "trajectory.parquet", trajectory(scores), metadata)
        self.run.note(probe_agreement=agreement(scores, concepts))

    def _stored(self, protocol: str, step: int) -> pd.DataFrame | None:
        path = self._path(protocol, step)
        return read_scores(path) if path.exists() else None

    def _path(self, protocol: str, step: int) -> Path:
        return self.run.path / "scores" / protocol / f"{step_name(step)}.parquet"
