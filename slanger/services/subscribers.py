"""Connected clients: each has a session that rules, a wire that carries, and the registry to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import UNSET, Raw, UnsetType
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from slanger.domain.apps import App, Apps
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IConnected, IRegistry, ISubscriber, ISubscribers, IUsers, IWebhooks, IWire
from slanger.protocol import codec
from slanger.protocol.effects import Effect, Join, Leave, Say, SignInUser, SignOutUser, Whisper
from slanger.protocol.errors import (
    APP_NOT_FOUND,
    CONNECTION_UNAUTHORIZED,
    PONG_NOT_RECEIVED,
    SHUTTING_DOWN,
    UNSUPPORTED_VERSION,
    Code,
    ConnectionRefused,
    SubscriptionRefused,
)
from slanger.protocol.messages import User
from slanger.protocol.session import Session
from slanger.services.liveness import Liveness
from slanger.services.trace import TracedConnected, TracedWire, log_refusal

OLDEST_VERSION = 4
"""Protocol versions 1 to 3 named and ordered their messages otherwise; the documentation calls them unsupported."""

SOCKET_ID_PART = 10**10
"""Each half of a socket id is random below this: unique in a cluster without asking anyone."""


@implementer(ISubscriber, IConnected)
class Subscriber:
    """One connected client.

    :param home: whom its session's wishes are passed to.
    """

    __slots__ = ("_home", "_session", "app", "heard_at", "send", "socket_id", "wire")

    def __init__(self, app: App, socket_id: str, wire: IWire, home: Subscribers) -> None:
        self.app = app
        self.socket_id = socket_id
        self.wire = wire
        self.send = wire.send
        self.heard_at = home.clock.seconds()
        self._session = Session(app, socket_id)
        self._home = home

    @property
    def user(self) -> User | None:
        """Who signed in."""
        return self._session.user

    def receive(self, text: bytes) -> None:
        """Take one message of the client."""
        self._perform(self._session.receive(text, self._home.clock.seconds()))

    def joined(self, channel: str, data: str | Raw) -> None:
        """Learn that it is on a channel from now on."""
        self._perform(self._session.joined(channel, data))

    def refused(self, refusal: SubscriptionRefused) -> None:
        """Learn that it cannot join a channel."""
        self._perform(self._session.refused(refusal))

    def heard(self) -> None:
        """Note a sign of life."""
        self.heard_at = self._home.clock.seconds()

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.wire.ping()

    def silent(self) -> None:
        """End a connection that no longer answers."""
        self.close(PONG_NOT_RECEIVED, "Pong reply not received in time")

    def unauthorized(self) -> None:
        """End a connection that the app has not vouched for in time ("Authorized connections")."""
        if not self._session.authorized:
            self.close(CONNECTION_UNAUTHORIZED, "Connection not authorized within timeout")

    def close(self, code: Code, reason: str) -> None:
        """Say why, and end the connection: some clients read the error, some the close frame."""
        self.send(codec.error(reason, code))
        self.wire.close(code, reason)

    def gone(self, code: int) -> None:
        """Learn that the connection is lost."""
        self._perform(self._session.gone())
        self._home.forget(self, code)

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say(message):
                    self.send(message)
                case Join(channel, member):
                    self._home.registry.join(self, channel, member)
                case Leave(channel, member):
                    self._home.registry.leave(self, channel, member)
                case Whisper(channel, event, data, user_id):
                    self._home.registry.whisper(self, channel, event, data, user_id)
                case SignInUser(user):
                    self._home.users.sign_in(self, user)
                case SignOutUser(user):
                    self._home.users.sign_out(self, user)


@implementer(ISubscribers)
class Subscribers(Service):
    """Every client connected to this node.

    :param apps: whom clients may connect to.
    :param registry: where they join channels.
    :param users: where they sign in.
    :param webhooks: told of their coming and going.
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
        users: IUsers,
        webhooks: IWebhooks,
        liveness: Liveness,
        clock: IReactorTime,
        random_below: Callable[[int], int],
        activity_timeout: int,
        *,
        verbose: bool = False,
    ) -> None:
        self.registry = registry
        self.users = users
        self.clock = clock
        self._apps = apps
        self._webhooks = webhooks
        self._liveness = liveness
        self._random_below = random_below
        self._activity_timeout = activity_timeout
        self._verbose = verbose
        self._connected: dict[Subscriber, IDelayedCall | None] = {}

    def connect(self, wire: IWire, key: str, version: str | None) -> IConnected:
        """Let a client in, or raise `ConnectionRefused`."""
        app = self._apps.with_key(key)
        if app is None:
            raise ConnectionRefused(APP_NOT_FOUND, f"App key {key} does not exist on this server")
        _check_version(version)
        socket_id = f"{self._random_below(SOCKET_ID_PART)}.{self._random_below(SOCKET_ID_PART)}"
        if self._verbose:
            wire = TracedWire(wire)
        subscriber = Subscriber(app, socket_id, wire, self)
        deadline = None
        if app.authorized_connections:
            deadline = self.clock.callLater(app.authorization_timeout, subscriber.unauthorized)
        self._connected[subscriber] = deadline
        self._liveness.watch(subscriber)
        subscriber.send(codec.established(socket_id, self._activity_timeout))
        self._tell("connection_opened", subscriber)
        return TracedConnected(subscriber, wire.peer) if self._verbose else subscriber

    def turned_away(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Log a client that was not let in, where every frame is logged."""
        if self._verbose:
            log_refusal(wire.peer, refusal)

    def forget(self, subscriber: Subscriber, code: int) -> None:
        """Learn that a connection is lost."""
        deadline = self._connected.pop(subscriber)
        if deadline is not None and deadline.active():
            deadline.cancel()
        self._liveness.forget(subscriber)
        self._tell("connection_closed", subscriber, code=code)

    def __len__(self) -> int:
        """Count the connections."""
        return len(self._connected)

    def stopService(self) -> None:
        """Send everybody away; they come back at once, to this server's successor or to another node."""
        super().stopService()
        for subscriber in tuple(self._connected):
            subscriber.close(SHUTTING_DOWN, "Server is shutting down")

    def _tell(self, name: str, subscriber: Subscriber, code: int | UnsetType = UNSET) -> None:
        user_id = UNSET if subscriber.user is None else subscriber.user.id
        time_ms = int(self.clock.seconds() * 1000)
        self._webhooks.tell(
            subscriber.app,
            Occurrence(name=name, socket_id=subscriber.socket_id, user_id=user_id, time_ms=time_ms, code=code),
        )


def _check_version(version: str | None) -> None:
    """Accept protocol 4 and newer. A missing version is taken for the current one, as no client omits it on purpose."""
    if not version:
        return
    if not (version.isascii() and version.isdigit() and int(version[:9]) >= OLDEST_VERSION):
        raise ConnectionRefused(
            UNSUPPORTED_VERSION, f"Unsupported protocol version {version[:20]!r}: this server speaks 4 to 7"
        )
