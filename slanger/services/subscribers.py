"""Connected clients: each has a session that rules, a wire that carries, and the registry to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from slanger.domain.apps import App, Apps
from slanger.interfaces import IConnected, IRegistry, ISubscriber, ISubscribers, IWire
from slanger.protocol import codec
from slanger.protocol.effects import Effect, Join, Leave, Say, Whisper
from slanger.protocol.errors import (
    APP_NOT_FOUND,
    PONG_NOT_RECEIVED,
    SHUTTING_DOWN,
    UNSUPPORTED_VERSION,
    ConnectionRefused,
    SubscriptionRefused,
)
from slanger.protocol.session import Session
from slanger.services.liveness import Liveness
from slanger.services.trace import TracedConnected, TracedWire

OLDEST_VERSION = 4
"""Protocol versions 1 to 3 named and ordered their messages otherwise; the documentation calls them unsupported."""

SOCKET_ID_PART = 10**10
"""Each half of a socket id is random below this: unique in a cluster without asking anyone."""


@implementer(ISubscriber, IConnected)
class Subscriber:
    """One connected client."""

    __slots__ = ("_clock", "_leave", "_registry", "_session", "app", "heard_at", "send", "socket_id", "wire")

    def __init__(
        self,
        app: App,
        socket_id: str,
        wire: IWire,
        registry: IRegistry,
        clock: IReactorTime,
        leave: Callable[[Subscriber], None],
    ) -> None:
        self.app = app
        self.socket_id = socket_id
        self.wire = wire
        self.send = wire.send
        self.heard_at = clock.seconds()
        self._session = Session(app, socket_id)
        self._registry = registry
        self._clock = clock
        self._leave = leave

    def receive(self, text: bytes) -> None:
        """Take one message of the client."""
        self._perform(self._session.receive(text, self._clock.seconds()))

    def joined(self, channel: str, data: str) -> None:
        """Learn that it is on a channel from now on."""
        self._perform(self._session.joined(channel, data))

    def refused(self, refusal: SubscriptionRefused) -> None:
        """Learn that it cannot join a channel."""
        self._perform(self._session.refused(refusal))

    def heard(self) -> None:
        """Note a sign of life."""
        self.heard_at = self._clock.seconds()

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.wire.ping()

    def silent(self) -> None:
        """End a connection that no longer answers."""
        self.wire.close(PONG_NOT_RECEIVED, "Pong reply not received in time")

    def gone(self) -> None:
        """Learn that the connection is lost."""
        self._leave(self)
        self._perform(self._session.gone())

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say(message):
                    self.send(message)
                case Join(channel, member):
                    self._registry.join(self, channel, member)
                case Leave(channel, member):
                    self._registry.leave(self, channel, member)
                case Whisper(channel, event, data, user_id):
                    self._registry.publish(self.app, channel, event, data, self.socket_id, user_id)


@implementer(ISubscribers)
class Subscribers(Service):
    """Every client connected to this node.

    :param apps: whom clients may connect to.
    :param registry: where they join channels.
    :param liveness: watches them.
    :param random_below: gives a random integer below its argument; makes socket ids.
    :param activity_timeout: seconds, told to clients.
    :param verbose: whether every frame is logged.
    """

    name = "subscribers"

    def __init__(
        self,
        apps: Apps,
        registry: IRegistry,
        liveness: Liveness,
        clock: IReactorTime,
        random_below: Callable[[int], int],
        activity_timeout: int,
        *,
        verbose: bool = False,
    ) -> None:
        self._apps = apps
        self._registry = registry
        self._liveness = liveness
        self._clock = clock
        self._random_below = random_below
        self._activity_timeout = activity_timeout
        self._verbose = verbose
        self._connected: set[Subscriber] = set()

    def connect(self, wire: IWire, key: str, version: str | None) -> IConnected:
        """Let a client in, or raise `ConnectionRefused`."""
        app = self._apps.with_key(key)
        if app is None:
            raise ConnectionRefused(APP_NOT_FOUND, f"App key {key} does not exist on this server")
        _check_version(version)
        socket_id = f"{self._random_below(SOCKET_ID_PART)}.{self._random_below(SOCKET_ID_PART)}"
        if self._verbose:
            wire = TracedWire(wire)
        subscriber = Subscriber(app, socket_id, wire, self._registry, self._clock, self._forget)
        self._connected.add(subscriber)
        self._liveness.watch(subscriber)
        subscriber.send(codec.established(socket_id, self._activity_timeout))
        return TracedConnected(subscriber, wire.peer) if self._verbose else subscriber

    def stopService(self) -> None:
        """Send everybody away; they come back at once, to this server's successor or to another node."""
        super().stopService()
        for subscriber in tuple(self._connected):
            subscriber.wire.close(SHUTTING_DOWN, "Server is shutting down")

    def _forget(self, subscriber: Subscriber) -> None:
        self._connected.discard(subscriber)
        self._liveness.forget(subscriber)


def _check_version(version: str | None) -> None:
    """Accept protocol 4 and newer. A missing version is taken for the current one, as no client omits it on purpose."""
    if not version:
        return
    if not (version.isascii() and version.isdigit() and int(version[:9]) >= OLDEST_VERSION):
        raise ConnectionRefused(
            UNSUPPORTED_VERSION, f"Unsupported protocol version {version[:20]!r}: this server speaks 4 to 7"
        )
