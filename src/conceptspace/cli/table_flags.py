"""The flags of the command `analyze`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

TABLE_COLUMNS = {
    "step": "steps, tokens, epochs: whole numbers",
    "concept": "the concept, skill or task",
    "protocol": "the way of asking",
    "setting": "a setting of the way of asking; each counts as a way of its own",
    "seed": "the seed; runs differ in it alone",
    "run": "the run, where there is no seed",
    "samples": "how many samples are behind an accuracy",
    "class": "the class that is asked for, a digit for each concept",
}
"""Columns of a table that `analyze` takes by flag, with what they hold."""


LEVELS = {
    "threshold": (0.8, "from this accuracy on something is there"),
    "fails": (0.5, "up to this one the plain way of asking fails in a hidden window"),
    "idle": (0.6, "up to this one a control does nothing in it"),
}
"""Accuracies by which `analyze` decides, by flag; equal to those of the verdict, which is slow to
import."""


def add_flags(command: ArgumentParser) -> None:
    """Add the arguments that say where the table is, and what its columns mean."""
    command.add_argument("table", type=Path, metavar="TABLE", help="a .csv or .parquet file")
    command.add_argument("-o", "--out", type=Path, metavar="FILE", help="the page; default: none")
    columns = command.add_argument_group(
        "columns; those called like the flag need none",
        "A column valid counts, too: the share of samples that show anything. Nothing emerges "
        "before the other classes, asked plainly, have 0.5 of it.",
    )
    for name, what in TABLE_COLUMNS.items():
        columns.add_argument(f"--{name}", metavar="COLUMN", help=what)
    columns.add_argument(
        "--accuracy",
        action="append",
        default=[],
        metavar="[NAME[:CONCEPT]=]COLUMN",
        help="accuracies; of a wide table once for each column, with the way of asking and concept",
    )
    columns.add_argument("--naive", metavar="COLUMN", help="accuracies of the plain way of asking")
    columns.add_argument(
        "--elicited",
        action="append",
        default=[],
        metavar="COLUMN",
        help="accuracies of another way of asking; several times for several ways",
    )
    meaning = command.add_argument_group("what they mean")
    meaning.add_argument("--plain", default="", metavar="NAME", help="the plain way of asking")
    meaning.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="NAME",
        help="a way that should do nothing; with --naive its column of accuracies",
    )
    meaning.add_argument(
        "--joint",
        default="",
        metavar="CONCEPT",
        help="is all concepts at once; default: the one called joint, if there is one",
    )
    for flag, (level, what) in LEVELS.items():
        text = f"{what}; default: {level:g}"
        meaning.add_argument(f"--{flag}", type=float, default=level, metavar="SHARE", help=text)
    meaning.add_argument("--percent", action="store_true", help="accuracies are percentages")
    meaning.add_argument(
        "--skip-empty", action="store_true", help="a missing accuracy was not measured"
    )
    meaning.add_argument(
        "--restore-zeros", action="store_true", help="classes lost their zeros in front: 1 is 01"
    )
