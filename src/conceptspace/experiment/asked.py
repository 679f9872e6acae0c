"""With which settings a run's protocols were asked, where no setting's name tells: ``run.json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conceptspace.config import RunConfig
from conceptspace.experiment import parts
from conceptspace.experiment.matched import require_matched
from conceptspace.protocols import registry
from conceptspace.recording.asked import keep, refuse_mixing
from conceptspace.store import Run


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
    require_matched(run, config, found, begun)
    return {name: values for name, values in found.items() if values}
