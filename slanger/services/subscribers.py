"""Connected clients: each has a session that rules, a wire that carries, and the registry to ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

from msgspec import UNSET, Raw, UnsetType
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from slanger.domain.apps import App, Apps
from slanger.domain.limits import Limits
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IConnected, IRegistry, ISubscriber, ISubscribers, IUsers, IWebhooks, IWire
from slanger.protocol import codec, errors
from slanger.protocol.effects import Effect, Join, Leave, Refuse, Say, SignInUser, SignOutUser, Whisper
from slanger.protocol.errors import (
    APP_DISABLED,
    APP_NOT_FOUND,
    CONNECTION_UNAUTHORIZED,
    OVER_CAPACITY,
    PONG_NOT_RECEIVED,
    SHUTTING_DOWN,
    UNSUPPORTED_VERSION,
    Code,
    ConnectionRefused,
    SubscriptionRefused,
)
from slanger.protocol.messages import User
from slanger.protocol.session import Session, shown
from slanger.services.access import AccessLog
from slanger.services.admission import Admission
from slanger.services.liveness import Liveness
from slanger.services.trace import TracedConnected, TracedWire, log_refusal
from slanger.tallies import Tallies

OLDEST_VERSION = 4
"""Protocol versions 1 to 3 named and ordered their messages otherwise; the documentation calls them unsupported."""

CODES_OF_APPLICATIONS = 3000
"""From here on, applications give close codes their meaning (RFC 6455, 7.4.2). Below it there are a dozen."""

OURS = frozenset(code.number for code in vars(errors).values() if isinstance(code, Code))
"""The close codes that the Pusher protocol gives a meaning."""

AT_ONCE = 200
"""Connections that are closed in one turn of the reactor, where many are."""

SOCKET_ID_PART = 10**10
"""Each half of a socket id is random below this: unique in a cluster without asking anyone. Both are drawn at once, as
the kernel is asked each time."""


@implementer(ISubscriber, IConnected)
class Subscriber:
    """One connected client.

    :param home: whom its session's wishes are passed to.
    """

    __slots__ = ("_home", "_session", "app", "heard_at", "meter", "send", "socket_id", "wire")

    def __init__(self, app: App, socket_id: str, wire: IWire, home: Subscribers) -> None:
        self.app = app
        self.meter = home.tallies.of(app)
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
        if self.app.authorized_connections and not self._session.authorized:
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
                case Refuse(message, by, reason, unproven):
                    self.send(message)
                    self._home.count_refusal(self.app, by, reason, unproven)
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
    :param admission: tells who may come in.
    :param random_below: gives a random integer below its argument; makes socket ids.
    :param tallies: count who comes, who goes, and what is refused.
    :param access_log: learns who comes and goes, where that is wanted.
    :ivar activity_timeout: seconds, told to clients.
    :ivar verbose: whether every frame is logged, of those who come from now on.
    """

    name = "subscribers"

    def __init__(
        self,
        apps: Apps,
        registry: IRegistry,
        users: IUsers,
        webhooks: IWebhooks,
        liveness: Liveness,
        admission: Admission,
        clock: IReactorTime,
        random_below: Callable[[int], int],
        activity_timeout: int,
        tallies: Tallies,
        *,
        verbose: bool = False,
        access_log: AccessLog | None = None,
    ) -> None:
        self.registry = registry
        self.users = users
        self.clock = clock
        self._apps = apps
        self._webhooks = webhooks
        self._liveness = liveness
        self._admission = admission
        self._random_below = random_below
        self.activity_timeout = activity_timeout
        self.verbose = verbose
        self.tallies = tallies
        self._access_log = access_log
        self._connected: dict[Subscriber, IDelayedCall | None] = {}
        self._leaving = False

    def connect(self, wire: IWire, key: str, version: str | None, origin: str | None) -> IConnected:
        """Let a client in, or raise `ConnectionRefused`."""
        if self._leaving:
            text = "Server is shutting down"  # with 4200 it would come here again at once
            raise ConnectionRefused(OVER_CAPACITY, text, "shutting_down")
        app = self._served(key)
        _check_version(version, app)
        self._admission.let_in(app, wire, origin)
        left, right = divmod(self._random_below(SOCKET_ID_PART**2), SOCKET_ID_PART)
        socket_id = f"{left}.{right}"
        if self.verbose:
            wire = TracedWire(wire)
        subscriber = Subscriber(app, socket_id, wire, self)
        deadline = None
        if app.authorized_connections:
            deadline = self.clock.callLater(app.authorization_timeout, subscriber.unauthorized)
        self._connected[subscriber] = deadline
        self._liveness.watch(subscriber)
        subscriber.meter.connections += 1
        subscriber.meter.connections_opened += 1
        subscriber.send(codec.established(socket_id, self.activity_timeout))
        if self._access_log is not None:
            self._access_log.opened(wire, subscriber)
        self._tell("connection_opened", subscriber)
        return TracedConnected(subscriber, wire.peer) if self.verbose else subscriber

    def turned_away(self, wire: IWire, refusal: ConnectionRefused) -> None:
        """Count a client that was not let in; log it where every frame is logged."""
        self.tallies.connections_refused[refusal.app, refusal.reason] += 1
        if self.verbose:
            log_refusal(wire.peer, refusal)
        if self._access_log is not None:
            self._access_log.refused(wire, refusal)

    def count_refusal(self, app: App, by: str, reason: str, unproven: str) -> None:
        """Count a message that was refused."""
        self.tallies.messages_refused[app.label, reason] += 1
        if unproven:
            self.tallies.auth_failures[app.label, by, unproven] += 1

    def forget(self, subscriber: Subscriber, code: int) -> None:
        """Learn that a connection is lost."""
        deadline = self._connected.pop(subscriber)
        if deadline is not None and deadline.active():
            deadline.cancel()
        self._liveness.forget(subscriber)
        self._admission.let_go(subscriber.app, subscriber.wire)
        subscriber.meter.connections -= 1
        self.tallies.connections_closed[subscriber.app.label, _code(code)] += 1
        if self._access_log is not None:
            self._access_log.closed(subscriber, code)
        self._tell("connection_closed", subscriber, code=code)

    @property
    def limits(self) -> Limits:
        """The limits of the node."""
        return self._admission.limits

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on."""
        self._admission.apply(limits, [subscriber.wire.address for subscriber in self._connected])

    def dismiss(self, keys: Collection[str]) -> None:
        """Close the connections to apps with these keys, some in each turn; not those whose app is served after all."""
        self._dismiss_some(iter([each for each in self._connected if each.app.key in keys]))

    def __len__(self) -> int:
        """Count the connections."""
        return len(self._connected)

    def take_leave(self) -> Sequence[Subscriber]:
        """Let nobody in any more; give who is here, the longest first."""
        self._leaving = True
        return tuple(self._connected)

    def send_away(self, subscribers: Iterable[Subscriber]) -> None:
        """Close those who have not gone yet; they come back at once, to another node or to this one's successor."""
        for subscriber in subscribers:
            if subscriber in self._connected:
                subscriber.close(SHUTTING_DOWN, "Server is shutting down")

    def stopService(self) -> None:
        """Send everybody away."""
        super().stopService()
        self.send_away(self.take_leave())

    def _served(self, key: str) -> App:
        """Find an app, or raise `ConnectionRefused`."""
        app = self._apps.with_key(key)
        if app is None:
            raise ConnectionRefused(APP_NOT_FOUND, f"App key {shown(key)} does not exist on this server", "app_key")
        if not app.enabled:
            raise ConnectionRefused(
                APP_DISABLED, f"App key {shown(key)} is disabled on this server", "disabled", app.label
            )
        return app

    def _dismiss_some(self, leaving: Iterator[Subscriber]) -> None:
        some = tuple(islice(leaving, AT_ONCE))
        for subscriber in some:
            try:
                self._served(subscriber.app.key)
            except ConnectionRefused as refusal:
                if subscriber in self._connected:
                    self.tallies.connections_sent_away[subscriber.app.label, str(refusal.code.number)] += 1
                    subscriber.close(refusal.code, refusal.message)
        if some:
            self.clock.callLater(0, self._dismiss_some, leaving)

    def _tell(self, name: str, subscriber: Subscriber, code: int | UnsetType = UNSET) -> None:
        user_id = UNSET if subscriber.user is None else subscriber.user.id
        time_ms = int(self.clock.seconds() * 1000)
        self._webhooks.tell(
            subscriber.app,
            Occurrence(name=name, socket_id=subscriber.socket_id, user_id=user_id, time_ms=time_ms, code=code),
        )


def _code(number: int) -> str:
    """Write a close code for metrics: what clients make up is `other`."""
    return str(number) if number < CODES_OF_APPLICATIONS or number in OURS else "other"


def _check_version(version: str | None, app: App) -> None:
    """Accept protocol 4 and newer. A missing version is taken for the current one, as no client omits it on purpose."""
    if not version:
        return
    if not (version.isascii() and version.isdigit() and int(version[:9]) >= OLDEST_VERSION):
        text = f"Unsupported protocol version {version[:20]!r}: this server speaks 4 to 7"
        raise ConnectionRefused(UNSUPPORTED_VERSION, text, "version", app.label)
