"""Which runs of a sweep other processes work on; these come last, and are waited for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.locking import worked_on
from conceptspace.sweeps.lease import Lease
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.storage import Store, StoredRun


class Others:
    """Other processes, by the lock of a run's folder, or by its lease in a storage.

    Args:
        out: output folder.
        store: address of the storage that runs go to; empty for the folder.

    Raises:
        UserError: see :class:`~conceptspace.sweeps.storage.Store`.
    """

    def __init__(self, out: Path, store: str) -> None:
        self.out = out
        self.store = Store(store) if store else None
        self._leases: dict[str, Lease] = {}

    def work_on(self, plan: Plan) -> bool:
        """Whether another process works on a run, as far as one can tell.

        A storage that does not answer tells nothing; whoever begins the run is told.
        """
        folder = plan.folder(self.out)
        if self.store is None:
            return worked_on(folder)
        place = StoredRun(self.store, plan.name, folder).place
        with suppress(UserError):
            return self._leases.setdefault(place, Lease(self.store, place)).is_held()
        return False
