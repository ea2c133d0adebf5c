"""What cache channels remember: the last event of each ("Cache channels")."""

from __future__ import annotations

from dataclasses import dataclass

ENTRY_BYTES = 400
"""Bytes an event takes beside its texts, about."""


@dataclass(frozen=True, slots=True)
class CachedEvent:
    """An event that is remembered.

    :param ttl: seconds it will be remembered from now on.
    """

    event: str
    data: str
    ttl: float


@dataclass(frozen=True, slots=True)
class _Entry:
    event: str
    data: str
    forgotten_at: float
    size: int


class EventCache:
    """The last event of each channel, for a time, within a bound of memory.

    All are kept equally long, so the oldest is the first to be forgotten, and the first to go when space runs out.

    :ivar cache_ttl: seconds an event is remembered.
    :ivar cache_bytes: bytes of memory that events may take; the oldest give way.
    """

    def __init__(self, cache_ttl: float, cache_bytes: int) -> None:
        self.cache_ttl = cache_ttl
        self.cache_bytes = cache_bytes
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._bytes = 0

    def put(self, app: str, channel: str, event: str, data: str, now: float) -> None:
        """Remember a channel's event in place of the one before."""
        self._drop((app, channel))
        size = ENTRY_BYTES + len(channel) + len(event.encode()) + len(data.encode())
        self._entries[app, channel] = _Entry(event, data, now + self.cache_ttl, size)
        self._bytes += size
        while self._entries:
            place, oldest = next(iter(self._entries.items()))
            if oldest.forgotten_at > now and self._bytes <= self.cache_bytes:
                break
            self._drop(place)

    def get(self, app: str, channel: str, now: float) -> CachedEvent | None:
        """Recall a channel's event."""
        entry = self._entries.get((app, channel))
        if entry is None or entry.forgotten_at <= now:
            return None
        return CachedEvent(entry.event, entry.data, entry.forgotten_at - now)

    @property
    def bytes(self) -> int:
        """Count the bytes of memory that the events take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, place: tuple[str, str]) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None:
            self._bytes -= entry.size
