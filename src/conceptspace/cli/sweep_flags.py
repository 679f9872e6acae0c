"""The flags of the command `sweep`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from conceptspace.cli.numbers import count

STATUS = "status"
"""The word in the place of the file that asks how a sweep stands."""

COLLECT = "collect"
"""The word in the place of the file that collects its runs."""

FETCH = "fetch"
"""The word in the place of the file that fetches its runs from a storage."""


TAKES = {STATUS: "DIR and --json", COLLECT: "DIR", FETCH: "URL and --out DIR"}
"""What each word takes, in words."""


def add_flags(command: ArgumentParser) -> None:
    """Add the arguments of `sweep` to a parser."""
    command.add_argument(
        "file",
        metavar="FILE.toml|status|collect|fetch",
        help="the sweep; or status, to print how one stands; or collect, for all runs in one; or "
        "fetch, to copy one from a storage",
    )
    command.add_argument(
        "folder",
        nargs="?",
        type=_place,
        metavar="DIR|URL",
        help="the sweep's folder, after the words",
    )
    command.add_argument(
        "--out", type=_place, metavar="DIR|URL", help="where the runs go, e.g. s3://bucket/sweep"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="only print the runs, the hours and the disk"
    )
    command.add_argument("--json", action="store_true", help="status as JSON")
    engine = command.add_argument_group("who works")
    engine.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="processes here, or Ray"
    )
    engine.add_argument(
        "--address", default="", help="of a Ray cluster; default: RAY_ADDRESS, or Ray is started"
    )
    engine.add_argument(
        "--slurm", action="store_true", help="submit an array to Slurm, one task a run"
    )
    engine.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option of sbatch, e.g. partition=gpu; may be given several times",
    )
    engine.add_argument("--jobs", type=count, metavar="N", help="runs at once")
    engine.add_argument("--cpus-per-run", type=float, default=1.0, metavar="N")
    engine.add_argument(
        "--gpus-per-run", type=float, default=0.0, metavar="N", help="a fraction shares a GPU"
    )
    engine.add_argument(
        "--retries", type=int, default=3, metavar="N", help="lost workers before a run has failed"
    )
    engine.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    engine.add_argument(
        "--log",
        action="append",
        default=[],
        choices=("tensorboard", "wandb", "mlflow"),
        help="a logger beside the run folder; may be given several times",
    )


def _place(text: str) -> Path | str:
    """A folder, or the address of a storage."""
    from conceptspace.sweeps.storage import is_url  # not needed for --help

    return text if is_url(text) else Path(text)
