"""What tests are made of: an app, what its clients say, and the other side of every seam, in memory."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from zope.interface import implementer

from slanger.brokers.alone import Alone
from slanger.complaints import Complaints
from slanger.domain.apps import App, Apps
from slanger.domain.cache import CachedEvent, EventCache
from slanger.domain.channels import Counts
from slanger.domain.limits import Limits
from slanger.domain.webhooks import Endpoint, Occurrence
from slanger.interfaces import IBroker, IConnected, INode, ISubscriber, IWebhooks, IWire
from slanger.protocol import signing
from slanger.protocol.errors import Code, SubscriptionRefused
from slanger.protocol.messages import Member, Message, User
from slanger.services.admission import Admission
from slanger.services.counts import SubscriptionCounts
from slanger.services.liveness import Liveness
from slanger.services.node import Node as NodeOfServices
from slanger.services.registry import ChannelRegistry
from slanger.services.subscribers import Subscribers
from slanger.services.users import Users
from slanger.tallies import Tallies

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
SOCKET_ID = "1234.1234"
LIMITS = Limits().fitting(Apps(()))

Json = dict[str, Any]


def make_app(key: str = KEY, **changes: Any) -> App:
    """Make an app with the credentials of the documentation, its switches and limits changed as named."""
    return App(key=key, secret=SECRET, **changes)


def make_member(user_id: str, info: str | None = None) -> Member:
    """Make a user; `info` is the JSON text of his `user_info`."""
    return Member(user_id, None if info is None else Raw(info.encode()))


def make_user(user_id: str, *watchlist: str, info: str | None = None) -> User:
    """Make a user who watches others; `info` is the JSON text of his `user_info`."""
    return User(user_id, None if info is None else Raw(info.encode()), watchlist)


def make_endpoint(*kinds: str, url: str = "http://127.0.0.1/hook", **changes: Any) -> Endpoint:
    """Make a webhook endpoint that wants these kinds of event, or by default all of Pusher's."""
    if kinds:
        changes["kinds"] = frozenset(kinds)
    return Endpoint(url=url, **changes)


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


def user_auth(user_data: str, socket_id: str = SOCKET_ID) -> str:
    """Sign a sign-in as an app's own authentication endpoint does."""
    return f"{KEY}:{signing.sign(SECRET, signing.user_string(socket_id, user_data))}"


def sign_in(user_id: str, *watchlist: str, info: Any = None, socket_id: str = SOCKET_ID) -> bytes:
    """Sign in as a user, rightly signed."""
    data: Json = {"id": user_id} | ({} if info is None else {"user_info": info})
    user_data = json.dumps(data | ({"watchlist": watchlist} if watchlist else {}))
    return say("pusher:signin", {"auth": user_auth(user_data, socket_id), "user_data": user_data})


def unsubscribe(channel: str) -> bytes:
    """Leave a channel."""
    return say("pusher:unsubscribe", {"channel": channel})


# What the server says


def read(message: Message) -> Json:
    """Read a message as a client does, its `data` left as it is."""
    said: Json = json.loads(message.text)
    return said


def read_data(data: str | Raw) -> Json:
    """Read the `data` of a message, encoded or not, as a client does."""
    said: Json = json.loads(data if isinstance(data, str) else json.loads(bytes(data)))
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

    address = "192.0.2.1"
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
        self.closes: list[int] = []

    def send(self, message: Message) -> None:
        """Keep a message."""
        self.messages.append(message)
        said = read(message)
        self.story.append(("heard", said["event"], said["data"]))

    def close(self, code: Code, reason: str) -> None:
        """Keep the code of a close."""
        self.closes.append(code.number)

    def joined(self, channel: str, data: str | Raw) -> None:
        """Keep a success."""
        self.story.append(("joined", channel, data if isinstance(data, str) else json.loads(bytes(data))))

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
        self.terminated: list[tuple[str, str]] = []
        self.occurrences: list[Occurrence] = []
        self.recounts: list[str] = []

    def deliver(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Keep an event of another node."""
        self.delivered.append((channel, message, exclude))

    def member_added(self, app: App, channel: str, member: Member) -> None:
        """Keep a first connection."""
        self.told.append(("added", channel, member.user_id))

    def member_removed(self, app: App, channel: str, user_id: str) -> None:
        """Keep a last connection."""
        self.told.append(("removed", channel, user_id))

    def terminate(self, app: App, user_id: str) -> None:
        """Keep who is sent away."""
        self.terminated.append((app.key, user_id))

    def happened(self, app: App, occurrence: Occurrence) -> None:
        """Keep what the app is to be told."""
        self.occurrences.append(occurrence)

    def recounted(self, app: App, channel: str) -> None:
        """Keep of which channel it is to be told how many are there."""
        self.recounts.append(channel)

    def channels(self, app: App) -> Iterable[str]:
        """Name the channels with subscribers here."""
        return [channel for key, channel in self.subscribed if key == app.key]

    def subscriptions(self, app: App, channel: str) -> int:
        """Count the subscribers here."""
        return self.subscribed.get((app.key, channel), 0)


@implementer(IWebhooks)
class RecordedWebhooks:
    """Webhooks that keep what the app is told, by the key of the app."""

    def __init__(self) -> None:
        self.occurrences: list[tuple[str, Occurrence]] = []

    def tell(self, app: App, occurrence: Occurrence) -> None:
        """Keep an occurrence."""
        self.occurrences.append((app.key, occurrence))

    def told(self, *kinds: str) -> list[Json]:
        """Give what was told of these kinds, or of all, as an endpoint reads it."""
        return [
            json.loads(msgspec.json.encode(each)) for _, each in self.occurrences if not kinds or each.name in kinds
        ]


@implementer(IBroker)
class SlowBroker(Alone):
    """A broker that waits for others: what must be agreed on takes effect at `answer`, in the order it was asked."""

    def __init__(self, clock: IReactorTime, cache: EventCache) -> None:
        super().__init__(clock, cache)
        self._asked: deque[Callable[[], object]] = deque()

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Let a connection keep a user present, later."""
        answer: Deferred[Raw] = Deferred()
        self._asked.append(lambda: Alone.enter(self, app, channel, member, socket_id).chainDeferred(answer))
        return answer

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user, later."""
        self._asked.append(lambda: Alone.leave(self, app, channel, user_id, socket_id))

    def remember(self, app: App, channel: str, event: str, data: str) -> None:
        """Keep an event, later."""
        self._asked.append(lambda: Alone.remember(self, app, channel, event, data))

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give an event, later."""
        answer: Deferred[CachedEvent | None] = Deferred()
        self._asked.append(lambda: Alone.recall(self, app, channel).chainDeferred(answer))
        return answer

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count, later."""
        answer: Deferred[Mapping[str, Counts]] = Deferred()
        self._asked.append(lambda: Alone.counts(self, app, channels).chainDeferred(answer))
        return answer

    def answer(self) -> None:
        """Do what was asked so far."""
        while self._asked:
            self._asked.popleft()()


class MemoryNode:
    """A whole node in memory: its services run on a clock, and what apps are told is kept.

    :param broker: makes the broker.
    :param webhooks: in place of those that only keep what they are told.
    :param limits: of the node.
    :param random_below: entropy; by default it counts, so the first socket id is 0.1, and the next 2.3.
    """

    def __init__(
        self,
        *apps: App,
        broker: Callable[[IReactorTime, EventCache], Alone] = Alone,
        webhooks: IWebhooks | None = None,
        clock: Clock | None = None,
        random_below: Callable[[int], int] | None = None,
        limits: Limits = LIMITS,
        verbose: bool = False,
    ) -> None:
        count = itertools.count(1, 2 * 10**10 + 2)
        self.clock = clock or Clock()
        self.recorded = RecordedWebhooks()
        self.webhooks: IWebhooks = webhooks or self.recorded
        self.broker = broker(self.clock, EventCache(1800, 10**6))
        self.tallies = Tallies()
        self.counts = SubscriptionCounts(self.broker, self.webhooks, self.clock)
        self.registry = ChannelRegistry(self.broker, self.counts, self.webhooks, self.tallies)
        self.users = Users(self.broker, self.clock)
        self.node = NodeOfServices(self.registry, self.users, self.webhooks)
        self.broker.attach(self.node)
        self.liveness = Liveness(self.clock, 120, 30)
        self.complaints = Complaints(self.clock, self.tallies)
        self.apps = Apps(apps)
        self.limits = limits.fitting(self.apps)
        self.admission = Admission(self.limits, self.clock)
        self.subscribers = Subscribers(
            apps=self.apps,
            registry=self.registry,
            users=self.users,
            webhooks=self.webhooks,
            liveness=self.liveness,
            admission=self.admission,
            clock=self.clock,
            random_below=random_below or (lambda _below: next(count)),
            activity_timeout=120,
            tallies=self.tallies,
            verbose=verbose,
        )
        self._services = (self.counts, self.registry, self.users, self.liveness, self.subscribers)
        for service in self._services:
            service.startService()

    def stop(self) -> None:
        """Stop its services, the last first."""
        for service in reversed(self._services):
            service.stopService()

    @property
    def told(self) -> Callable[..., list[Json]]:
        """Give what apps were told; see `RecordedWebhooks.told`."""
        return self.recorded.told


class Client:
    """A client of a node in memory, connected through the door."""

    def __init__(self, node: MemoryNode, key: str = KEY) -> None:
        self.wire = Wire()
        self.connected: IConnected = node.subscribers.connect(self.wire, key, "7", None)
        self.socket_id: str = json.loads(self.wire.said[0]["data"])["socket_id"]
        self.wire.messages.clear()

    def receive(self, text: bytes) -> None:
        """Say something to the server."""
        self.connected.receive(text)

    def subscribe(self, channel: str, user_id: str | None = None) -> None:
        """Ask for a channel, rightly signed."""
        self.receive(subscribe(channel, user_id, socket_id=self.socket_id))

    def sign_in(self, user_id: str, *watchlist: str, info: Any = None) -> None:
        """Sign in, rightly signed."""
        self.receive(sign_in(user_id, *watchlist, info=info, socket_id=self.socket_id))

    def heard(self) -> list[tuple[str, Any]]:
        """Give each event that was heard since the last look, with its data read."""
        said = self.wire.said
        self.wire.messages.clear()
        return [
            (each["event"], json.loads(each["data"]) if isinstance(each["data"], str) else each["data"])
            for each in said
        ]

    def events(self) -> list[str]:
        """Name each event that was heard since the last look."""
        return [event for event, _ in self.heard()]

    def go(self, code: int = 1000) -> None:
        """Be lost."""
        self.connected.gone(code)
