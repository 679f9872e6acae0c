"""The command `info`: facts about this installation, and about runs."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from conceptspace.analysis.steps import in_words
from conceptspace.analysis.verdict import UNDECIDED
from conceptspace.cache import probe_cache
from conceptspace.engine.native.compiling import native
from conceptspace.engine.precision import fastest_precision
from conceptspace.errors import UserError
from conceptspace.experiment.completeness import missing_checkpoints
from conceptspace.presentation.explorer.guarded import Guarded
from conceptspace.presentation.explorer.liveness import state
from conceptspace.presets import STARTS
from conceptspace.settings.recorded import RecordConfig
from conceptspace.store import Run


def info(options: Namespace) -> int:
    """Print facts about the installation or runs; of several, why one cannot be read.

    The kernels of this machine are compiled if they were not yet.
    """
    from conceptspace.presentation.explorer.discover import runs_in
    from conceptspace.presentation.explorer.left_out import sentences

    if not options.runs:
        cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
        _print_rows(
            {
                "conceptspace": version("conceptspace"),
                "torch": version("torch"),
                "python": platform.python_version(),
                "CPU threads": torch.get_num_threads(),
                "operations": native().reason,
                "precision": fastest_precision(torch.device("cpu")),
                "CUDA device": cuda,
                "probe cache": probe_cache(),
                "presets": ", ".join(STARTS),
            }
        )
        return 0
    runs, left_out = runs_in(options.runs)
    if len(runs) == 1 and not left_out:
        _print_run(Guarded(runs[0], runs[0].name))
        return 0
    described = 0
    for run in runs:
        try:
            _print_run(Guarded(run, run.name))
            described += 1
        except (UserError, OSError) as error:
            _print_rows({"run": run.name, "problem": error})
        print()
    for sentence in sentences(left_out):
        print(sentence)
    return 0 if described else 2


def _print_run(run: Run) -> None:
    """Print facts about a run, and whether it hides a capability."""
    _print_rows(_about(run))
    print("", *_verdict(run), sep="\n")


def _about(run: Run) -> dict[str, Any]:
    """Facts about a run, by name.

    Raises:
        UserError: its config or its record cannot be read.
    """
    information = run.information()
    description = run.description
    rows = {
        "run": run.name,
        "preset": description.preset,
        "seed": description.seed,
        "status": state(run.path, information).status,
        "probe": information.get("probe", {}).get("hash", "none"),
        "seconds": information.get("seconds", "unknown"),
    }
    if isinstance(description, RecordConfig):
        rows["judge"] = description.judge
        rows["protocols"] = ", ".join(description.protocols)
    elif lacking := missing_checkpoints(run):
        rows["missing"] = f"checkpoints of {in_words(lacking)}"
    return rows


def _print_rows(rows: Mapping[str, Any]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")


def _verdict(run: Run) -> list[str]:
    """Whether a run hides a capability, in sentences."""
    from conceptspace.presentation.explorer.run_findings import verdict

    if not run.folder.trajectory.exists():
        return [UNDECIDED, "No checkpoint has been scored yet."]
    return verdict(run) or [UNDECIDED, "No class is held out."]
