"""What tests are made of: an app, what its clients say, and the other side of every seam, in memory."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred
from zope.interface import implementer

from slanger.brokers.alone import Alone
from slanger.domain.apps import App
from slanger.interfaces import IBroker, INode, ISubscriber, IWire
from slanger.protocol import signing
from slanger.protocol.errors import Code, SubscriptionRefused
from slanger.protocol.messages import Member, Message

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
SOCKET_ID = "1234.1234"

Json = dict[str, Any]


def make_app(key: str = KEY, **changes: Any) -> App:
    """Make an app with the credentials of the documentation, its switches and limits changed as named."""
    return App(key=key, secret=SECRET, **changes)


def make_member(user_id: str, info: str | None = None) -> Member:
    """Make a user; `info` is the JSON text of his `user_info`."""
    return Member(user_id, None if info is None else Raw(info.encode()))


# What a client says


def auth(channel: str, channel_data: str | None = None, socket_id: str = SOCKET_ID) -> str:
    """Sign a subscription as an app's own authorisation endpoint does."""
    return f"{KEY}:{signing.sign(SECRET, signing.channel_string(socket_id, channel, channel_data))}"


def say(event: str, data: Any = None, **members: Any) -> bytes:
    """Write a message of a client, with `data` unless it is None."""
    frame = {"event": event, **members}
    return json.dumps(frame if data is None else {**frame, "data": data}).encode()


def subscribe(channel: str, user_id: str | None = None, *, info: Any = None, socket_id: str = SOCKET_ID) -> bytes:
    """Ask for a channel, rightly signed where its kind demands it; `user_id` is for presence channels."""
    data = {"channel": channel}
    if user_id is not None:
        data["channel_data"] = json.dumps({"user_id": user_id} | ({} if info is None else {"user_info": info}))
    if channel.startswith(("private-", "presence-")):
        data["auth"] = auth(channel, data.get("channel_data"), socket_id)
    return say("pusher:subscribe", data)


def unsubscribe(channel: str) -> bytes:
    """Leave a channel."""
    return say("pusher:unsubscribe", {"channel": channel})


# What the server says


def read(message: Message) -> Json:
    """Read a message as a client does, its `data` left as it is."""
    said: Json = json.loads(message.text)
    return said


def read_all(messages: Iterable[Message]) -> list[Json]:
    """Read messages as a client does."""
    return [read(message) for message in messages]


def error(message: str, code: int | None = None) -> Json:
    """Give the `pusher:error` with this message."""
    return {"event": "pusher:error", "data": {"code": code, "message": message}}


# The other side of each seam


@implementer(IWire)
class Wire:
    """A wire that keeps what it is given."""

    peer = "192.0.2.1:50000"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.pings = 0
        self.closes: list[tuple[Code, str]] = []

    def send(self, message: Message) -> None:
        """Keep a message."""
        self.messages.append(message)

    def ping(self) -> None:
        """Count a ping."""
        self.pings += 1

    def close(self, code: Code, reason: str) -> None:
        """Keep the reasons of a close."""
        self.closes.append((code, reason))

    @property
    def said(self) -> list[Json]:
        """What the server has said so far."""
        return read_all(self.messages)


@implementer(ISubscriber)
class Listener:
    """A subscriber that keeps what it learns, in order.

    `story` holds ``("joined", channel, data)``, ``("refused", channel, kind)`` and ``("heard", event, data)``.
    """

    def __init__(self, app: App, socket_id: str) -> None:
        self.app = app
        self.socket_id = socket_id
        self.story: list[tuple[str, str, str]] = []
        self.refusals: list[SubscriptionRefused] = []
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        """Keep a message."""
        self.messages.append(message)
        said = read(message)
        self.story.append(("heard", said["event"], said["data"]))

    def joined(self, channel: str, data: str) -> None:
        """Keep a success."""
        self.story.append(("joined", channel, data))

    def refused(self, refusal: SubscriptionRefused) -> None:
        """Keep a refusal."""
        self.refusals.append(refusal)
        self.story.append(("refused", refusal.channel, refusal.kind))

    @property
    def heard(self) -> list[tuple[str, str]]:
        """The events it was sent, each with its data."""
        return [(event, data) for what, event, data in self.story if what == "heard"]


@implementer(INode)
class Node:
    """A node that keeps what its broker tells it; `subscribed` says who is on its channels, by app key."""

    def __init__(self) -> None:
        self.subscribed: dict[tuple[str, str], int] = {}
        self.told: list[tuple[str, str, str]] = []
        self.delivered: list[tuple[str, Message, str | None]] = []

    def deliver(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Keep an event of another node."""
        self.delivered.append((channel, message, exclude))

    def member_added(self, app: App, channel: str, member: Member) -> None:
        """Keep a first connection."""
        self.told.append(("added", channel, member.user_id))

    def member_removed(self, app: App, channel: str, user_id: str) -> None:
        """Keep a last connection."""
        self.told.append(("removed", channel, user_id))

    def channels(self, app: App) -> Iterable[str]:
        """Name the channels with subscribers here."""
        return [channel for key, channel in self.subscribed if key == app.key]

    def subscriptions(self, app: App, channel: str) -> int:
        """Count the subscribers here."""
        return self.subscribed.get((app.key, channel), 0)


@implementer(IBroker)
class SlowBroker(Alone):
    """A broker that waits for others: who enters and leaves takes effect at `answer`, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: deque[Callable[[], object]] = deque()

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[str]:
        """Let a connection keep a user present, later."""
        answer: Deferred[str] = Deferred()
        self._asked.append(lambda: Alone.enter(self, app, channel, member, socket_id).chainDeferred(answer))
        return answer

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user, later."""
        self._asked.append(lambda: Alone.leave(self, app, channel, user_id, socket_id))

    def answer(self) -> None:
        """Do what was asked so far."""
        while self._asked:
            self._asked.popleft()()
