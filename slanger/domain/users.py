"""Users who signed in, and who watches whom: the tables of one app on one node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from slanger.protocol.messages import User

S = TypeVar("S")


class SignedInUsers(Generic[S]):
    """The connections of each user who signed in, by socket id, and the connections that watch each user."""

    __slots__ = ("_connections", "_watchers")

    def __init__(self) -> None:
        self._connections: dict[str, dict[str, S]] = {}
        self._watchers: dict[str, dict[str, S]] = {}

    def add(self, user: User, socket_id: str, connection: S) -> list[str]:
        """Count a connection among its user's, and among the watchers of those on his watchlist.

        :return: the users who had no watcher before.
        """
        self._connections.setdefault(user.id, {})[socket_id] = connection
        newly_watched = [watched for watched in user.watchlist if watched not in self._watchers]
        for watched in user.watchlist:
            self._watchers.setdefault(watched, {})[socket_id] = connection
        return newly_watched

    def remove(self, user: User, socket_id: str) -> list[str]:
        """Count a connection no more; nothing is left of the last.

        :return: the users who have no watcher any more.
        """
        _drop(self._connections, [user.id], socket_id)
        watched = [each for each in user.watchlist if each in self._watchers]
        _drop(self._watchers, user.watchlist, socket_id)
        return [each for each in watched if each not in self._watchers]

    def connections(self, user_id: str) -> Mapping[str, S]:
        """Give the connections that signed in as a user."""
        return self._connections.get(user_id, {})

    def watchers(self, user_id: str) -> Mapping[str, S]:
        """Give the connections that watch a user."""
        return self._watchers.get(user_id, {})

    def __len__(self) -> int:
        return len(self._connections) + len(self._watchers)


def _drop(table: dict[str, dict[str, S]], keys: Iterable[str], socket_id: str) -> None:
    for key in keys:
        row = table.get(key, {})
        row.pop(socket_id, None)
        if not row:
            table.pop(key, None)
