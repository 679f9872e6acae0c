"""MLflow: a store of the sweep's own, or the server that ``MLFLOW_TRACKING_URI`` names."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from conceptspace.store import Run

URI = "MLFLOW_TRACKING_URI"
FOLDER = "conceptspace.folder"
"""Tag of a run's folder, by which a resumed run finds itself."""

LONGEST = 500
"""Characters of a parameter's value that every store takes."""


class MLflow:
    """Writes to ``HOME/mlflow.db`` and ``HOME/mlflow-artifacts``, or to a server.

    The experiment is called like the home folder. Look at it with
    ``mlflow ui --backend-store-uri sqlite:///HOME/mlflow.db``.
    """

    def __init__(self, run: Run, home: Path) -> None:
        home = home.resolve()
        store = os.environ.get(URI, f"sqlite:///{home / 'mlflow.db'}")
        with FileLock(home / ".mlflow.lock"):  # the tables are made once
            self.client = MlflowClient(tracking_uri=store)
            self.id = self._run(run, home)

    def _run(self, run: Run, home: Path) -> str:
        """The run's identity in the store, which may be there already."""
        found = self.client.get_experiment_by_name(home.name)
        if found is None:
            place = None if URI in os.environ else (home / "mlflow-artifacts").as_uri()
            experiment = self.client.create_experiment(home.name, artifact_location=place)
        else:
            experiment = found.experiment_id
        folder = str(run.path.resolve())
        there = self.client.search_runs([experiment], f"tags.`{FOLDER}` = '{folder}'")
        if there:
            return str(there[0].info.run_id)
        name = Path(folder).relative_to(home).as_posix() if Path(folder) != home else run.name
        made = self.client.create_run(experiment, tags={FOLDER: folder}, run_name=name)
        settings = run.description.settings().items()
        parameters = [Param(name, str(value)[:LONGEST]) for name, value in settings]
        self.client.log_batch(made.info.run_id, params=parameters[:100])
        return str(made.info.run_id)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self.client.log_image(self.id, pixels, artifact_file=f"{name}/step-{step:08d}.png")

    def close(self) -> None:
        self.client.set_terminated(self.id)
