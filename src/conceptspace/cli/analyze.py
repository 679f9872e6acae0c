"""The command `analyze`: what anybody's table of steps and accuracies says."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from conceptspace.cli.table_flags import TABLE_COLUMNS
from conceptspace.errors import UserError
from conceptspace.files import read_whole, sha256
from conceptspace.tables import NAIVE

OURS = {"class": "concept_class"}
"""Names of columns that are longer than their flags."""


def analyze(options: Namespace) -> int:
    """Print the findings of a table, and write its page."""
    from conceptspace.analysis.levels import Levels
    from conceptspace.analysis.reading import read_trajectory
    from conceptspace.presentation import table_page

    levels = Levels(options.threshold, options.fails, options.idle)
    columns, accuracies = _columns(options)
    content = _content(options.table)
    table = read_trajectory(
        options.table,
        columns,
        accuracies=accuracies,
        plain=options.plain,
        controls=options.control,
        elicited=options.elicited,
        joint=options.joint,
        percent=options.percent,
        restore_zeros=options.restore_zeros,
        skip_empty=options.skip_empty,
        content=content,
    )
    source = {
        "file": options.table.name,
        "SHA-256": sha256(content),
        "columns": ", ".join(f"{our}: {their}" for their, our in columns.items()),
        "accuracies": ", ".join(f"{what}: {their}" for their, what in accuracies.items()),
    }
    shown = {name: value for name, value in source.items() if value}
    shown |= levels.changed
    title = options.table.stem
    for finding in table_page.analyze(table, options.out, title=title, source=shown, levels=levels):
        print(f"- {finding.text}")
    if options.out is not None:
        print(f"page: {options.out}", file=sys.stderr)
    return 0


def _content(path: Path) -> bytes:
    """The bytes of the table, read once: what is hashed is what is analyzed.

    It may be a pipe, such as a shell makes of ``<(program)``.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_whole(path, pipes=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read as a table: {error.strerror}") from None


def _columns(options: Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """Names of columns by the flags: theirs to ours, and theirs to what an accuracy is of.

    Raises:
        UserError: a column is named twice.
    """
    named = [
        (getattr(options, flag), OURS.get(flag, flag))
        for flag in TABLE_COLUMNS
        if getattr(options, flag)
    ]
    accuracies: list[tuple[str, str]] = _by_role(options)
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


def _by_role(options: Namespace) -> list[tuple[str, str]]:
    """The columns of --naive, --elicited and --control: each is a way of asking of its own name.

    Raises:
        UserError: the plain way is missing, or named twice.
    """
    if options.naive is None and not options.elicited:
        return []
    if options.naive is None or options.plain or options.accuracy:
        raise UserError(
            "--elicited COLUMN needs --naive COLUMN, and both stand in place of --accuracy and "
            "--plain"
        )
    others = [(column, column) for column in (*options.elicited, *options.control)]
    return [(options.naive, NAIVE), *others]
