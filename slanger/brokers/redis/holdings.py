"""What this node holds in Redis, under its lease: channels with subscribers, and users who are present through it.

The truth about it is here. Redis is told of each change while it is there, and of everything when it is there again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from slanger.brokers.redis.links import Commands
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import STATE
from slanger.domain.apps import App
from slanger.protocol.messages import Member
from slanger.protocol.names import GRACE, is_inbox

CHUNK = 500
"""Changes in one command, at most."""

HANDOVER = 10
"""Seconds for which users of a node that leaves stay in the cluster. That is longer than the grace of others who go:
they all come back at the same time, and nobody should notice a deploy where that takes a while."""

NO_LEASE = "-"
"""Stands for the lease before the first, under which a node held nothing."""

Answer = Callable[[Any], None]
"""Takes what Redis answers to an `enter`: whether he is there, whether he is new, the position, the roster."""

Change = tuple[tuple[object, ...], Answer | None]
"""What a script is told, and who takes its answer."""

Place = tuple[str, str]
"""An app's key and a channel."""


@dataclass(slots=True, eq=False)
class Held:
    """A user who is present through this node.

    :ivar sockets: the connections that keep him.
    :ivar settled: whether the cluster, or this node while it is cut off, has let him in.
    :ivar waiting: connections that wait for that.
    :ivar stated: whether Redis was told of him.
    :ivar told: whether this node told the app of him by itself, while it was cut off.
    """

    app: App
    channel: str
    member: Member
    sockets: set[str] = field(default_factory=set)
    settled: bool = False
    waiting: list[Deferred[Raw]] = field(default_factory=list)
    stated: bool = False
    told: bool = False


@dataclass(slots=True, eq=False)
class Opened:
    """A channel that this node has subscribers on.

    :ivar stated: as with `Held`.
    :ivar told: as with `Held`.
    :ivar miscounted: whether its subscribers may have been told how many are on this node alone, as it was cut off.
    """

    app: App
    channel: str
    stated: bool = False
    told: bool = False
    miscounted: bool = False


class Holdings:
    """Keep what this node holds, and have Redis hold it too.

    :param subscriptions: counts this node's subscribers on a channel.
    :param on_due: called when an app is to be told something now.
    :ivar handing_over: whether who leaves may come back to another node.
    """

    def __init__(
        self,
        root: Root,
        clock: IReactorTime,
        subscriptions: Callable[[App, str], int],
        on_due: Callable[[], None],
    ) -> None:
        self._root = root
        self._clock = clock
        self._subscriptions = subscriptions
        self._on_due = on_due
        self.opened: dict[Place, Opened] = {}
        self.users: dict[Place, dict[str, Held]] = {}
        self._recounted: dict[Place, App] = {}
        self._changes: list[Change] = []
        self._commands: Commands | None = None
        self._lease = ""
        self._flushing = False
        self.handing_over = False

    # What changes

    def open(self, app: App, channel: str) -> Opened:
        """Learn that a channel has its first subscriber here."""
        opened = self.opened[app.key, channel] = Opened(app, channel, self.stated)
        self.recount(app, channel)
        return opened

    def close(self, app: App, channel: str) -> Opened | None:
        """Learn that a channel has lost its last subscriber here."""
        self.recount(app, channel)
        return self.opened.pop((app.key, channel), None)

    def recount(self, app: App, channel: str) -> None:
        """Learn that the number of subscribers on a channel is another."""
        if self._commands is not None:
            self._recounted[app.key, channel] = app
            self._soon()
        elif opened := self.opened.get((app.key, channel)):
            opened.miscounted = True

    def enter(self, held: Held, answer: Answer, *, limit: int, picture: bool) -> None:
        """Have the cluster let a user in.

        :param answer: called with what Redis says, or never if the link is lost before.
        :param limit: users on this channel, at most.
        :param picture: whether the roster is wanted.
        """
        held.stated = True
        self._changes.append((_entering(held, limit=limit, picture=picture), answer))
        self._soon()

    def leave(self, held: Held) -> None:
        """Have the cluster let a user go: at once, or later where this node hands its users over."""
        app = held.app
        what = app.key, _hooked(app, held.channel), False, held.channel, held.member.user_id
        change = ("hand", *what, HANDOVER * 1000) if self.handing_over else ("leave", *what)
        self._changes.append((change, None))
        self._soon()

    def held(self, app: App, channel: str) -> dict[str, Held]:
        """Give the users who are on a channel through this node."""
        return self.users.get((app.key, channel), {})

    # The link

    @property
    def stated(self) -> bool:
        """Whether Redis knows what this node holds, or will once it reads what was sent."""
        return self._commands is not None

    def restate(self, commands: Commands, lease: str, before: str, *, forgotten: bool) -> list[Deferred[Any]]:
        """Tell Redis of everything, under a new lease; each thing moves over from the lease before.

        :param forgotten: whether Redis came back empty: the app was told already of what it knew before.
        :return: when it is done.
        """
        for opened in self.opened.values():
            opened.told |= forgotten and opened.stated
        for held in self._all_held():
            held.told |= forgotten and held.stated
        self._commands = commands
        self._lease = lease
        self._changes.clear()
        self._recounted.clear()
        changes = list(self._everything())
        before = before or NO_LEASE
        sent = [self._send(changes[first : first + CHUNK], before) for first in range(0, len(changes), CHUNK)]
        for opened in self.opened.values():
            opened.stated, opened.told, opened.miscounted = True, False, False
        for held in self._all_held():
            held.stated, held.told = True, False
        return sent

    def pause(self) -> None:
        """Learn that the link is lost."""
        self._commands = None
        self._changes.clear()
        self._recounted.clear()

    def flush(self) -> None:
        """Send what changed in this reactor turn."""
        self._flushing = False
        if self._commands is None:
            return
        recounted, self._recounted = self._recounted, {}
        for (_, channel), app in recounted.items():
            self._changes.append((self._counted(app, channel, told=False), None))
        changes, self._changes = self._changes, []
        for first in range(0, len(changes), CHUNK):
            self._send(changes[first : first + CHUNK], "")

    # Inside

    def _soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._clock.callLater(0, self.flush)

    def _send(self, changes: list[Change], before: str) -> Deferred[Any]:
        assert self._commands is not None
        arguments = (self._root.origin, self._lease, before, GRACE * 1000)
        text = msgspec.json.encode([change for change, _ in changes])
        sending = self._commands.run(STATE, *self._root.arguments, *arguments, text)
        answers = [answer for change, answer in changes if change[0] == "enter"]
        return sending.addCallbacks(self._answered, _lost, callbackArgs=(self._lease, answers))

    def _answered(self, reply: Any, lease: str, answers: list[Answer | None]) -> None:
        due, replies = reply
        if due < 0 or lease != self._lease or self._commands is None:
            return
        for answer, each in zip(answers, replies, strict=True):
            if answer is not None:
                answer(each)
        if due:
            self._on_due()

    def _everything(self) -> Iterator[Change]:
        for opened in self.opened.values():
            yield self._counted(opened.app, opened.channel, told=opened.told, miscounted=opened.miscounted), None
        for held in self._all_held():
            yield _entering(held, limit=0, picture=False), None

    def _all_held(self) -> Iterator[Held]:
        for users in self.users.values():
            yield from users.values()

    def _counted(self, app: App, channel: str, *, told: bool, miscounted: bool = False) -> tuple[object, ...]:
        count = self._subscriptions(app, channel)
        telling = app.subscription_counts, miscounted
        return "channel", app.key, _hooked(app, channel), told, channel, count, *telling


def _entering(held: Held, *, limit: int, picture: bool) -> tuple[object, ...]:
    app, member = held.app, held.member
    info = "null" if member.user_info is None else bytes(member.user_info).decode()
    start = ("enter", app.key, _hooked(app, held.channel), held.told, held.channel)
    return *start, member.user_id, info, limit, picture


def _hooked(app: App, channel: str) -> bool:
    return bool(app.webhooks) and not is_inbox(channel)


def _lost(failure: Failure) -> None:
    """The link is lost; everything is stated again over the next."""
