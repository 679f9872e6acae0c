"""Connections that cost the server little: few at a time, and none that keeps it waiting."""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds in which a connection must bring its next request, or take more of an answer."""

MOST = 256
"""Connections at a time, where the system allows as many files."""

HANDLES = 4
"""File handles that are set aside for each connection: its own, and what is read to answer it."""

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 41\r\n\r\n"
    b"too many connections; ask again in a bit\n"
)


def most_connections() -> int:
    """How many connections are served at a time, by the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(4, min(MOST, soft // HANDLES))


class Connection(H11Protocol):
    """HTTP/1.1 for clients that may be slow on purpose.

    A connection without a whole request for :data:`PATIENCE` seconds is closed, however many bytes
    drip in, and so is one that takes nothing of its answer for as long. Where all connections are
    taken, the one that has waited longest without a request makes room; where all are being
    answered, a new one is refused with status 503.
    """

    _timer: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()
        if len(self.connections) > most_connections():
            waiting = [c for c in self.connections if isinstance(c, Connection) and c._timer]
            waiting.remove(self)
            if waiting:
                min(waiting, key=Connection._due).abort()
            else:
                transport.write(BUSY)
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._wait_no_more()

    def on_response_complete(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._arm()
        super().on_response_complete()
        self._wait_no_more()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._arm()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait_no_more()

    def abort(self) -> None:
        """Close the connection now, whatever has not been sent."""
        self.connections.discard(self)
        self._disarm()
        self.transport.abort()

    def _due(self) -> float:
        return self._timer.when() if self._timer else 0.0

    def _wait_no_more(self) -> None:
        """Stop the clock if a request is being answered and the client takes the answer."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self.flow.write_paused:
            self._disarm()

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(PATIENCE, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._arm()
        else:
            self.abort()
