"""Who is on which channel: the table of one app on one node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

S = TypeVar("S")

SMALL = 1000
"""Channels whose room is not worth giving back."""

SPARSE = 4
"""How many times fewer channels than there were make it worth the copying."""

_NOBODY: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many are on a channel in the whole cluster.

    :param subscriptions: connections.
    :param users: distinct users on a presence channel, None on any other.
    """

    subscriptions: int
    users: int | None = None


class Channels(Generic[S]):
    """The channels of one app, each with its subscribers by socket id.

    A channel exists while it has a subscriber: the first makes it, the last takes it with him.
    """

    __slots__ = ("_most", "_subscribers")

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[str, S]] = {}
        self._most = 0

    def add(self, channel: str, socket_id: str, subscriber: S) -> bool:
        """Put a subscriber on a channel; tell whether it is the first."""
        subscribers = self._subscribers.get(channel)
        if subscribers is None:
            self._subscribers[channel] = {socket_id: subscriber}
            self._most = max(self._most, len(self._subscribers))
            return True
        subscribers[socket_id] = subscriber
        return False

    def remove(self, channel: str, socket_id: str) -> bool:
        """Take a subscriber off a channel; tell whether it was the last. One who was never on it changes nothing."""
        subscribers = self._subscribers.get(channel)
        if subscribers is None or subscribers.pop(socket_id, None) is None or subscribers:
            return False
        del self._subscribers[channel]
        if self._most > SPARSE * len(self._subscribers) + SMALL:
            self._subscribers = dict(self._subscribers)  # a dict keeps the room of what was deleted, its copy does not
            self._most = len(self._subscribers)
        return True

    def on(self, channel: str) -> Mapping[str, S]:
        """Give a channel's subscribers by socket id, in the order they came; it is the table's own, not a copy."""
        return self._subscribers.get(channel, _NOBODY)  # type: ignore[arg-type]

    def count(self, channel: str) -> int:
        """Count a channel's subscribers."""
        return len(self._subscribers.get(channel, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._subscribers)

    def __len__(self) -> int:
        return len(self._subscribers)
