"""Where the keys of a deployment are, and what every script must know."""

from __future__ import annotations

from dataclasses import dataclass

RETENTION = 600
"""Seconds for which the log remembers what a silent app published."""


@dataclass(frozen=True, slots=True)
class Root:
    """The names of one deployment in Redis: all begin with its prefix and its database.

    The database is among them because pub/sub does not know databases.

    :param origin: this process, among all that ever were.
    :param replay_events: entries that the log of an app keeps, about.
    """

    prefix: str
    db: int
    origin: str
    replay_events: int

    @property
    def name(self) -> str:
        """Give what every key begins with."""
        return f"{self.prefix}:{self.db}"

    @property
    def arguments(self) -> tuple[str, int, int]:
        """Give the first arguments of every script."""
        return self.name, RETENTION * 1000, self.replay_events

    @property
    def beats(self) -> bytes:
        """Name the topic on which this node hears its own beats."""
        return f"{self.name}:beat:{self.origin}".encode()

    def topic(self, app: str, channel: str) -> bytes:
        """Name the topic of a channel."""
        return f"{self.name}:{app}:to:{channel}".encode()

    def roster(self, app: str, channel: str) -> str:
        """Name the key of a channel's roster, as the scripts do."""
        return f"{self.name}:{app}:roster:{channel}"
