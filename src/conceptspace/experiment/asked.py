"""With which settings a run's protocols were asked, where no setting's name tells: ``run.json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.hints import quoted
from conceptspace.protocols import registry
from conceptspace.store import Run


def keep_asked(run: Run, config: RunConfig, protocols: Iterable[str]) -> None:
    """Keep in ``run.json``, below ``asked``, what :func:`asked_alike` finds.

    Raises:
        UserError: see :func:`asked_alike`.
    """
    found, kept = asked_alike(run, config, protocols), run.information().get("asked", {})
    if kept | found != kept:
        run.note(asked=kept | found)


def asked_alike(run: Run, config: RunConfig, protocols: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What each protocol is asked with, see :func:`~conceptspace.protocols.registry.fixed`.

    Scores of which ``run.json`` keeps nothing were made with the run's own config.

    Args:
        run: that is asked.
        config: of the run, with the settings that are asked for now.
        protocols: their names.

    Raises:
        UserError: a protocol has scores that were made with other settings.
    """
    kept = run.information().get("asked", {})
    here, begun = parts.context(config), parts.context(run.config)
    found = {name: registry.fixed(name, here) for name in protocols}
    for name, values in found.items():
        if not values or not run.folder.scored_steps(name):
            continue
        there = registry.fixed(name, begun) | kept.get(name, {})
        for key, value in values.items():
            if there.get(key, value) != value:
                raise _asked_otherwise(run, name, f"{key} = {there[key]!r}, not {value!r}")
    return {name: values for name, values in found.items() if values}


def _asked_otherwise(run: Run, name: str, how: str) -> UserError:
    scores, sheets = (quoted(run.path / folder / name) for folder in ("scores", "samples"))
    return UserError(
        f"{run.path} was asked by {name} with {how}, and its table holds one of them; leave the "
        f"setting as it was, or ask anew without these scores, after: rm -r {scores} {sheets}"
    )
