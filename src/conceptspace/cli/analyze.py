"""The command `analyze`: what anybody's table of steps and accuracies says."""

from __future__ import annotations

import sys
from argparse import Namespace

from conceptspace.cli.parser import TABLE_COLUMNS
from conceptspace.errors import UserError
from conceptspace.files import sha256

OURS = {"class": "concept_class"}
"""Names of columns that are longer than their flags."""


def analyze(options: Namespace) -> int:
    """Tell what a table says, and write its page."""
    from conceptspace.analysis.reading import read_trajectory
    from conceptspace.presentation import table_page

    columns, accuracies = _columns(options)
    table = read_trajectory(
        options.table,
        columns,
        accuracies=accuracies,
        plain=options.plain,
        controls=options.control,
        joint=options.joint,
        percent=options.percent,
        restore_zeros=options.restore_zeros,
        skip_empty=options.skip_empty,
    )
    if options.out is not None and options.out.resolve() == options.table.resolve():
        raise UserError(f"the page would replace the table {options.table}; give -o another FILE")
    source = {
        "file": options.table.name,
        "SHA-256": sha256(options.table.read_bytes()),
        "columns": ", ".join(f"{our}: {their}" for their, our in columns.items()),
        "accuracies": ", ".join(f"{what}: {their}" for their, what in accuracies.items()),
    }
    told = {name: value for name, value in source.items() if value}
    for finding in table_page.analyze(table, options.out, title=options.table.stem, source=told):
        print(f"- {finding.text}")
    if options.out is not None:
        print(f"page: {options.out}", file=sys.stderr)
    return 0


def _columns(options: Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """Names of columns as flags tell them: theirs to ours, and theirs to what an accuracy is of.

    Raises:
        UserError: a column is named twice.
    """
    named = [
        (getattr(options, flag), OURS.get(flag, flag))
        for flag in TABLE_COLUMNS
        if getattr(options, flag)
    ]
    accuracies: list[tuple[str, str]] = []
    for text in options.accuracy:
        what, equals, column = text.partition("=")
        if not equals:
            named.append((text, "accuracy"))
        elif not column or what in ("", ":"):
            raise UserError(f"--accuracy takes NAME=COLUMN or NAME:CONCEPT=COLUMN, not {text!r}")
        else:
            accuracies.append((column, what))
    every = [their for their, _ in [*named, *accuracies]]
    twice = [their for their in every if every.count(their) > 1]
    if twice:
        raise UserError(f"the column {twice[0]!r} is named by two flags")
    if len([our for _, our in named if our == "accuracy"]) + bool(accuracies) > 1:
        raise UserError(
            "several columns of accuracies need names: --accuracy plain=COLUMN --accuracy "
            "other=COLUMN, or --accuracy plain:CONCEPT=COLUMN"
        )
    return dict(named), dict(accuracies)
