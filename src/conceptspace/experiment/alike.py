"""What a run goes on with has to be what it was begun with: images, code, settings of protocols."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.asked import asked_alike
from conceptspace.experiment.own_code import code_alike
from conceptspace.store import Run
from conceptspace.worlds.world import HasSource, World


def require_alike(run: Run, config: RunConfig, protocols: Sequence[str]) -> None:
    """Refuse what a session on a run would refuse, and write nothing.

    Args:
        run: that is there.
        config: with which it goes on.
        protocols: that it is asked by.

    Raises:
        UserError: images or code have changed, or a protocol was asked with other settings.
    """
    require_same_images(run, config, parts.world(config.data))
    code_alike(run, config, protocols)
    asked_alike(run, config, protocols)


def keeps_images(run: Run, world: World) -> bool:
    """Whether ``run.json`` keeps a hash of the run's images, to compare them with."""
    return isinstance(world, HasSource) and _digest(run) is not None


def require_same_images(run: Run, config: RunConfig, world: World) -> None:
    """Go on with the images of which ``run.json`` keeps a hash, and with no others.

    Raises:
        UserError: they have changed.
    """
    if not isinstance(world, HasSource) or (before := _digest(run)) is None:
        return
    if world.provenance().get("digest") != before:
        raise UserError(
            f"the images have changed since the run was begun ({parts.source(config)}; "
            f"{run.folder.information} keeps their SHA-256, data.digest); put them back "
            "as they were, or start a run with the new ones in another folder"
        )


def _digest(run: Run) -> object:
    return run.information().get("data", {}).get("digest")
