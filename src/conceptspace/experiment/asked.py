"""With which settings a run's protocols are asked: as before, and a control as what it controls.

Those that no setting's name tells are kept in ``run.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.protocols import registry
from conceptspace.recording.asked import keep, refuse_mixing, removal
from conceptspace.store import Run, read_scores


def keep_asked(run: Run, config: RunConfig, protocols: Iterable[str]) -> None:
    """Keep in ``run.json``, below ``asked``, what :func:`asked_alike` finds.

    Raises:
        UserError: see :func:`asked_alike`.
    """
    keep(run, asked_alike(run, config, protocols))


def asked_alike(run: Run, config: RunConfig, protocols: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What each protocol is asked with, see :func:`~conceptspace.protocols.registry.fixed`.

    Scores of which ``run.json`` keeps nothing were made with the run's own config.

    Args:
        run: that is asked.
        config: of the run, with the settings that are asked for now.
        protocols: their names.

    Raises:
        UserError: a protocol has scores that were made with other settings, or a control would not
            match what it controls.
    """
    here, begun = parts.context(config), parts.context(run.config)
    found = {name: registry.fixed(name, here) for name in protocols}
    refuse_mixing(run, found, lambda name: registry.fixed(name, begun))
    _require_matched(run, config, found, begun)
    return {name: values for name, values in found.items() if values}


def _require_matched(
    run: Run, config: RunConfig, asked: Mapping[str, Mapping[str, Any]], begun: registry.Context
) -> None:
    """Refuse what would leave a control with other settings than the protocol that it controls.

    Those count that the names of settings tell, and those that none tells.
    """
    names = [*asked, *(name for name in _scored(run) if name not in asked)]
    of = {name: registry.controlled(name) for name in names}
    for control, protocol in of.items():
        if protocol in names and (control in asked or protocol in asked):
            group = [protocol, *(name for name in names if of[name] == protocol)]
            _require_same_values(run, asked, begun, (protocol, control), group)
            _require_same_settings(run, config, asked, (protocol, control), group)


def _require_same_values(
    run: Run,
    asked: Mapping[str, Mapping[str, Any]],
    begun: registry.Context,
    pair: tuple[str, str],
    group: list[str],
) -> None:
    there, here = sorted(pair, key=lambda name: name in asked)
    kept = run.information().get("asked", {}).get(there, {})
    before = asked[there] if there in asked else registry.fixed(there, begun) | kept
    for key, value in asked[here].items():
        if before.get(key, value) != value:
            raise UserError(
                f"{run.path} was asked by {there} with {key} = {before[key]!r}, and {here} with "
                f"{value!r} would not match it: a control is asked as what it controls; leave the "
                "setting as it was, or ask both anew, after: "
                f"{removal(run, [name for name in group if name in _scored(run)])}"
            )


def _require_same_settings(
    run: Run,
    config: RunConfig,
    asked: Mapping[str, Mapping[str, Any]],
    pair: tuple[str, str],
    group: list[str],
) -> None:
    found = {name: _settings(run, config, name, name in asked) for name in pair}
    for more, fewer in (pair, pair[::-1]):
        lacking = [setting for setting in found[more] if setting not in found[fewer]]
        if lacking:
            both = " ".join(f"--protocol {name}" for name in group)
            raise UserError(
                f"{run.path} would have {more} with {lacking[0]}, and {fewer} without: a control "
                "has the settings of what it controls, no more and no fewer; ask for all of them "
                f"at once, with: {both}"
            )


def _settings(run: Run, config: RunConfig, name: str, asked: bool) -> list[str]:
    """The settings that have scores, and those that are asked for."""
    folder = run.folder
    paths = [folder.scores(name, step) for step in folder.scored_steps(name)]
    found = [str(setting) for path in paths for setting in read_scores(path)["setting"].unique()]
    if asked:
        context = parts.context(config)
        made = registry.make(name, context)
        found += [s for c in context.world.space.classes for s in made.settings(c)]
    return list(dict.fromkeys(found))


def _scored(run: Run) -> list[str]:
    """The protocols that have scores."""
    return list(dict.fromkeys(path.parent.name for path in run.folder.all_scores()))
