"""With what a run's protocols were asked, beyond their settings' names: ``run.json``, ``asked``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from conceptspace.errors import UserError
from conceptspace.hints import quoted
from conceptspace.store import Run

Asked = Mapping[str, Mapping[str, Any]]
"""For each protocol, values as JSON has them under their names."""


def keep(run: Run, found: Asked) -> None:
    """Add to what ``run.json`` keeps."""
    kept = run.information().get("asked", {})
    if kept | found != kept:
        run.note(asked=kept | found)


def refuse_mixing(
    run: Run, found: Asked, unkept: Callable[[str], Mapping[str, Any]] = lambda name: {}
) -> None:
    """Refuse to mix scores of a protocol that were made in two ways.

    Args:
        run: that is asked.
        found: with what.
        unkept: what protocols were asked with of which ``run.json`` keeps nothing.

    Raises:
        UserError: a protocol has scores that were made otherwise.
    """
    kept = run.information().get("asked", {})
    for name, values in found.items():
        if not values or not run.folder.scored_steps(name):
            continue
        there = {**unkept(name), **kept.get(name, {})}
        for key, value in values.items():
            if there.get(key, value) != value:
                raise UserError(
                    f"{run.path} was asked by {name} with {key} = {there[key]!r}, not {value!r}, "
                    "and its table holds one of them; leave the setting as it was, or ask anew "
                    f"without these scores, after: {removal(run, [name])}"
                )


def removal(run: Run, names: Iterable[str]) -> str:
    """The command that removes the scores and images of protocols."""
    folders = [run.path / kind / name for name in names for kind in ("scores", "samples")]
    return f"rm -r {' '.join(map(quoted, folders))}"
