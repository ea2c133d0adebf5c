"""What rosters should be, and whether what clients were told agrees with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.cluster.listener import ADDED as RAW_ADDED
from tests.cluster.listener import REMOVED as RAW_REMOVED
from tests.cluster.listener import Listener
from tests.cluster.nodes import Node
from tests.sdk.case import ADDED, REMOVED, SUBSCRIBED, JsClient

ROOM = "presence-room"

Told = tuple[str, set[str]]
"""What a client was told: `=` and the whole roster, `+` and who came, `-` and who went."""


class Socket:
    """A connection of a user, with a pusher-js client.

    :ivar roster: who was on the channel at the last settling, as it was told; None if it was not subscribed.
    """

    def __init__(self, user: str, node: Node, client: JsClient) -> None:
        self.user = user
        self.node = node
        self.client = client
        self.subscribed = False
        self.roster: set[str] | None = None

    def told(self) -> Iterator[Told]:
        """Give what it was told since the driver last forgot."""
        for seen in self.client.seen(None, ROOM, scope="channel"):
            if seen.event == SUBSCRIBED:
                yield "=", set(seen.data["members"])
            elif seen.event in (ADDED, REMOVED):
                yield "+" if seen.event == ADDED else "-", {seen.data["id"]}

    def heard(self, event: str) -> bool:
        """Tell whether it heard an event."""
        return bool(self.client.seen(event, ROOM))

    def shows(self) -> set[str]:
        """Give the users that the library shows."""
        return set(self.client.members(ROOM)["info"])


class Watcher:
    """A user of his own on each node, who is told every frame: pusher-js hides who goes without having come.

    :ivar roster: as `Socket.roster`.
    """

    def __init__(self, user: str, listener: Listener) -> None:
        self.user = user
        self.roster: set[str] | None = set(listener.subscribe(ROOM)["presence"]["ids"])
        self._listener = listener
        self._read = len(listener.messages)

    def told(self) -> Iterator[Told]:
        """Give what it was told since the last settling."""
        self._seen = len(self._listener.messages)
        for message in self._listener.messages[self._read : self._seen]:
            if message["event"] in (RAW_ADDED, RAW_REMOVED):
                yield "+" if message["event"] == RAW_ADDED else "-", {message["data"]["user_id"]}

    def heard(self, event: str) -> bool:
        """Tell whether it heard an event."""
        return bool(self._listener.heard(event, ROOM))

    def shows(self) -> set[str]:
        """Give the users that follow from what it was told."""
        roster = self.roster or set()
        for sign, users in self.told():
            roster = roster | users if sign == "+" else roster - users
        return roster

    def settled(self, roster: set[str] | None) -> None:
        """Begin anew after what `told` gave last, with this roster."""
        self.roster = roster
        self._read = self._seen


@dataclass
class Model:
    """Who should be on the channel.

    :ivar states: for each user whether he was on the channel, at the last settling and at any time since.
    :ivar added: how many times clients were told of somebody who came; `removed`: of somebody who went.
    """

    sockets: list[Socket] = field(default_factory=list)
    lost: list[Socket] = field(default_factory=list)
    watchers: dict[Node, Watcher] = field(default_factory=dict)
    states: dict[str, set[bool]] = field(default_factory=dict)
    added: int = 0
    removed: int = 0

    def present(self) -> set[str]:
        """Tell who is on the channel."""
        return {watcher.user for watcher in self.watchers.values()} | {socket.user for socket in self.subscribed()}

    def subscribed(self) -> list[Socket]:
        """Tell which connections are on the channel."""
        return [socket for socket in self.sockets if socket.subscribed]

    def lose(self, socket: Socket) -> None:
        """Learn that a connection has gone."""
        socket.subscribed = False
        self.sockets.remove(socket)
        self.lost.append(socket)

    def note(self) -> None:
        """Take down who is on the channel now."""
        present = self.present()
        for user in present | set(self.states):
            self.states.setdefault(user, {False}).add(user in present)

    def check(self) -> None:
        """Check what everybody was told since the last settling, and begin anew."""
        present = self.present()
        for watcher in self.watchers.values():
            roster = self._replay(watcher.user, watcher.told(), watcher.roster)
            assert roster == present, f"{watcher.user}: {roster} and not {present}"
            watcher.settled(roster)
        for socket in (*self.sockets, *self.lost):
            name = f"{socket.client.name} of {socket.user}"
            roster = self._replay(name, socket.told(), socket.roster)
            assert not socket.subscribed or roster == present, f"{name}: {roster} and not {present}"
            socket.roster = roster if socket.subscribed else None
        self.lost.clear()
        self.states = {user: {True} for user in present}

    def _replay(self, who: str, told: Iterable[Told], roster: set[str] | None) -> set[str] | None:
        """Follow what a client was told; give the roster in the end."""
        always = {user for user, states in self.states.items() if states == {True}}
        ever = {user for user, states in self.states.items() if True in states}
        for sign, users in told:
            if sign == "=":
                assert always <= users <= ever, f"{who} was shown {users}, without {always - users}: {users - ever}"
                roster = users
                continue
            assert roster is not None, f"{who} was told {sign}{users} without being subscribed"
            assert users.isdisjoint(always), f"{who} was told {sign}{users}, who was there all the time"
            assert users <= ever, f"{who} was told {sign}{users}, who was never there"
            if sign == "+":
                assert users.isdisjoint(roster), f"{who} was told twice that {users} came"
                roster = roster | users
                self.added += 1
            else:
                assert users <= roster, f"{who} was told that {users} went, who had not come"
                roster = roster - users
                self.removed += 1
        return roster
