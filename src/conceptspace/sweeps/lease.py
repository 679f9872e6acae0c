"""One worker at a time works on a run in object storage, where no file can be locked.

A worker creates the lease, which the store grants to one alone, and renews it all the time. One
whose beat stands still was lost, and another worker takes over; so does one on the same machine
that sees that the process is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from conceptspace.errors import UserError
from conceptspace.locking import Busy
from conceptspace.sweeps.storage import Store

BEAT = 10.0
"""Seconds from one renewal to the next."""

SILENCE = 45.0
"""Seconds without a renewal after which a worker counts as lost."""

POLL = 1.0
"""Seconds between looks at a lease that another worker holds."""


class Lease:
    """The right to work on a run.

    Args:
        store: of the sweep.
        place: of the run in it.
    """

    def __init__(self, store: Store, place: str) -> None:
        self.store, self.path = store, f"{place}/lease.json"
        self.owner = f"{_machine()} {os.getpid()} {secrets.token_hex(8)}"
        self.beats = 0
        self._seen: bytes | None = None
        self._since = 0.0

    def acquire(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until no other worker holds the run, or one shows that it lives.

        Raises:
            Busy: one does; or ``stop`` said so.
        """
        first: bytes | None = None
        while not self.store.create(self.path, self._content()):
            there = self.store.read(self.path)
            first = there if first is None else first
            if there is not None and self._is_lost(there):
                self.store.remove(self.path)
                continue
            if stop() or there not in (None, first):
                raise Busy(f"another worker is working on {self.store.url}/{self.path}")
            time.sleep(POLL)

    def is_held(self) -> bool:
        """Whether a worker holds the run; of one that is silent, after :data:`SILENCE` of looks."""
        there = self.store.read(self.path)
        return there is not None and not self._is_lost(there)

    def _is_lost(self, there: bytes) -> bool:
        """Whether the worker is gone that wrote the lease, or has not renewed it for long."""
        if there != self._seen:
            self._seen, self._since = there, time.monotonic()
        return _is_gone(there) or time.monotonic() - self._since > SILENCE

    def renew(self) -> None:
        """Tell that this worker lives.

        Raises:
            Busy: another worker has taken over.
        """
        there = self.store.read(self.path)
        if there is None or json.loads(there).get("owner") != self.owner:
            raise Busy(f"another worker has taken over {self.store.url}/{self.path}")
        self.beats += 1
        self.store.write(self.path, self._content())

    def release(self) -> None:
        """Let others work on the run, if this worker still holds it."""
        there = self.store.read(self.path)
        if there is not None and json.loads(there).get("owner") == self.owner:
            self.store.remove(self.path)

    def _content(self) -> bytes:
        return json.dumps({"owner": self.owner, "beats": self.beats}).encode()


@contextmanager
def held(lease: Lease, stop: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Hold a lease; what it yields says to stop once another worker has taken over.

    Raises:
        Busy: see :meth:`Lease.acquire`.
    """
    lease.acquire(stop)
    ended, lost = Event(), Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                lease.renew()
            except Busy:
                lost.set()
                return
            except UserError:
                continue  # the store may answer again before the lease runs out

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lambda: stop() or lost.is_set()
    finally:
        ended.set()
        thread.join()
        lease.release()


def _is_gone(content: bytes) -> bool:
    """Whether the owner was a process of this machine, and is no more."""
    try:
        machine, process, _ = json.loads(content)["owner"].split(" ")
        return bool(machine == _machine()) and not Path(f"/proc/{int(process)}").exists()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _machine() -> str:
    """Equal for processes that see each other: of one boot and one space of process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return secrets.token_hex(8)
