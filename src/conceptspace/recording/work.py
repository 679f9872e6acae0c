"""Working on a run: alone, and with a record of when, where and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conceptspace.errors import Diverged
from conceptspace.events import Stopped
from conceptspace.locking import alone, sweep_leftovers
from conceptspace.settings.description import Description
from conceptspace.store import Run, open_or_create


@contextmanager
def working_on(run: Run, description: Description) -> Iterator[None]:
    """Keep other processes from working on a run, which is still the one that was opened.

    Raises:
        UserError: another process works on it, or has begun it with another description.
        OSError: the folder cannot be written.
    """
    with alone(run.path):
        open_or_create(run.path, description)
        run.begin()
        sweep_leftovers(run.path)
        yield


@contextmanager
def noted(run: Run, environment: dict[str, Any]) -> Iterator[None]:
    """Note in ``run.json`` how the work stands.

    The status is "running" meanwhile, then "finished", "stopped", "diverged", or "failed" by an
    exception, with the reason; the seconds of all sessions add up. A killed process leaves
    "running".
    """
    started = time.perf_counter()
    before = run.information().get("seconds", 0.0)
    run.note(status="running", reason="", **environment)
    status, reason = "failed", ""
    try:
        yield
        status = "finished"
    except (Stopped, KeyboardInterrupt, GeneratorExit):
        status = "stopped"
        raise
    except Exception as error:
        status = "diverged" if isinstance(error, Diverged) else "failed"
        reason = str(error) or type(error).__name__
        raise
    finally:
        seconds = before + time.perf_counter() - started
        run.note(status=status, reason=reason, seconds=round(seconds, 1))
