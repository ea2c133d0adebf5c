"""The seams of the house. Whoever reads only this module knows how the parts meet.

::

    transports ──ISubscribers──▶ services ──IBroker──▶ brokers
        ▲                         │  ▲ │                  │
        └──────────IWire──────────┘  │ └◀──────INode──────┘
    api ─────IRegistry, IUsers───────┘

A transport accepts a connection and hands its wire to `ISubscribers`, which answers with an `IConnected`. To the
`IRegistry`, the only writer of channel state, the same client is an `ISubscriber` that joins and leaves channels. What
concerns other nodes goes through the `IBroker`, which speaks back to this node as `INode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Raw
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from slanger.domain.apps import App
from slanger.domain.cache import CachedEvent
from slanger.domain.channels import Counts
from slanger.domain.webhooks import Occurrence
from slanger.protocol.errors import Code, ConnectionRefused, SubscriptionRefused
from slanger.protocol.messages import Member, Message, User
from slanger.tallies import Meter


class IWire(Interface):
    """The way to one client, whatever carries it. Nothing here raises or blocks."""

    address: str = Attribute("The client's IP address, or `unix`; what a trusted proxy says of it is believed.")
    peer: str = Attribute("Who the client is, for the log: where it comes from, and whom a proxy speaks for.")

    def send(message: Message) -> None:
        """Send a text; those of one reactor turn leave together, in order. After a close they are dropped."""

    def ping() -> None:
        """Make the client show a sign of life, by means that every official client answers."""

    def close(code: Code, reason: str) -> None:
        """Send what is waiting, then end the connection with a close code; `IConnected.gone` follows."""


class IConnected(Interface):
    """One connected client, as its transport sees it."""

    meter: Meter = Attribute("Counts, for its app, what the transport carries.")

    def receive(text: bytes) -> None:
        """Take one message of the client."""

    def heard() -> None:
        """Note a sign of life: any bytes, ping and pong frames included."""

    def gone(code: int) -> None:
        """Learn that the connection is lost, and with which close code. Comes once, and last."""


class ISubscriber(Interface):
    """One connected client, as the registry sees it."""

    socket_id: str = Attribute("Its id, unique in the cluster.")
    app: App = Attribute("The app it connected to.")

    def send(message: Message) -> None:
        """Pass a text to the wire."""

    def close(code: Code, reason: str) -> None:
        """Say why, in `pusher:error`, and end the connection."""

    def joined(channel: str, data: str | Raw) -> None:
        """Learn that it is on a channel from now on; `data` is the roster on a presence channel."""

    def refused(refusal: SubscriptionRefused) -> None:
        """Learn that it cannot join a channel."""


class ISubscribers(Interface):
    """The door for new connections."""

    def connect(wire: IWire, key: str, version: str | None, origin: str | None) -> IConnected:
        """Let a client in; `connection_established` is on the wire when this returns.

        :param key: the app key of its URL.
        :param version: the `protocol` parameter as it stood in the URL.
        :param origin: of the web page it comes from, as its browser says; None where nothing is said.
        :raises ConnectionRefused: no such app, no such protocol version, no room, or the wrong origin.
        """

    def turned_away(wire: IWire, refusal: ConnectionRefused) -> None:
        """Learn that a client was not let in, for the log and the tallies."""


class IRegistry(Interface):
    """Who is on which channel; the only writer of that."""

    def join(subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Put a subscriber on a channel. The answer is its `joined`, or its `refused`, now or later.

        It gets exactly the events published after `joined`.
        """

    def leave(subscriber: ISubscriber, channel: str, member: Member | None) -> None:
        """Take a subscriber off a channel, also when its `join` is still under way. It gets nothing more."""

    def publish(app: App, channel: str, event: str, data: str, exclude: str | None) -> None:
        """Send an event of the app to a channel's subscribers everywhere, save the one whose id is `exclude`.

        Cache channels remember it.
        """

    def whisper(subscriber: ISubscriber, channel: str, event: str, data: str, user_id: str | None) -> None:
        """Send an event of a subscriber to the channel's other subscribers everywhere."""

    def recall(app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give what a cache channel remembers."""

    def counts(app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels; each of them is in the answer."""

    def occupied(app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""

    def users(app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""


class IUsers(Interface):
    """Who is signed in, and who wants to know."""

    def sign_in(subscriber: ISubscriber, user: User) -> None:
        """Count a connection among its user's; tell it who of his watchlist is online."""

    def sign_out(subscriber: ISubscriber, user: User) -> None:
        """Count a connection no more."""

    def terminate(app: App, user_id: str) -> None:
        """Close all connections, everywhere, that signed in as this user."""


class IWebhooks(Interface):
    """What the app is told."""

    def tell(app: App, occurrence: Occurrence) -> None:
        """Tell those of the app's endpoints that want to hear of it. It never fails and never waits."""


class INode(Interface):
    """This node, as its broker sees it."""

    def deliver(app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Hand an event of another node to this node's subscribers."""

    def member_added(app: App, channel: str, member: Member) -> None:
        """Learn that a user's first connection in the cluster joined. On an inbox it means that he signed in."""

    def member_removed(app: App, channel: str, user_id: str) -> None:
        """Learn that a user's last connection in the cluster left."""

    def terminate(app: App, user_id: str) -> None:
        """Close this node's connections that signed in as this user."""

    def happened(app: App, occurrence: Occurrence) -> None:
        """Tell the app of something that concerns the whole cluster; called on one node of it.

        Who comes back in time was never gone: the broker holds endings back ("Webhooks", delays).
        """

    def recounted(app: App, channel: str) -> None:
        """Learn that another number of subscribers is on a channel than these were told last; called on one node.

        So it is where a node died, or comes back from where it could not be heard.
        """

    def channels(app: App) -> Iterable[str]:
        """Name the channels that this node has subscribers on."""

    def subscriptions(app: App, channel: str) -> int:
        """Count this node's subscribers on a channel."""


class Link(NamedTuple):
    """How a node is linked to the others.

    :param joined: whether they hear each other.
    :param since: when that came about, in seconds of the clock.
    :param events: that wait for the others.
    :param bytes: of memory that these take.
    """

    joined: bool
    since: float
    events: int
    bytes: int


class IBroker(Interface):
    """What ties this node to its peers. It decides, once for the cluster, who is first in and who is last out.

    Nothing here raises. Calls for one channel take effect in the order they were made.
    """

    def attach(node: INode) -> None:
        """Learn which node to speak to; comes once, before anything else."""

    def serve(added: Sequence[App], removed: Sequence[App]) -> None:
        """Learn that other apps are served from now on, or the same ones with other limits; the directory says so."""

    def open(app: App, channel: str) -> None:
        """Learn that this node has its first subscriber on a channel: events of other nodes are wanted."""

    def close(app: App, channel: str) -> None:
        """Learn that this node's last subscriber left a channel."""

    def recount(app: App, channel: str) -> None:
        """Learn that the number of this node's subscribers on a channel changed otherwise."""

    def watch(app: App, channel: str) -> None:
        """Learn that this node wants to hear who comes and goes on a channel, with or without subscribers on it."""

    def unwatch(app: App, channel: str) -> None:
        """Learn that it wants that no more."""

    def publish(app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Send an event to the other nodes; this node's subscribers have it already."""

    def enter(app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Let a connection keep a user present.

        Where it is the user's first, `INode.member_added` is called on each node before this fires.

        :return: the roster, encoded, ready to be sent, the user included. It fails with `SubscriptionRefused` where the
            channel is full.
        """

    def leave(app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user. Where it was his last connection, `INode.member_removed` is called on each node."""

    def remember(app: App, channel: str, event: str, data: str) -> None:
        """Keep a cache channel's last event for the whole cluster."""

    def recall(app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Answer `IRegistry.recall`."""

    def missed(app: App, channel: str) -> None:
        """Learn that a subscriber found a cache channel empty; one node tells the app, once for many subscribers."""

    def terminate(app: App, user_id: str) -> None:
        """Have the other nodes close the connections that signed in as this user."""

    def counts(app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Answer `IRegistry.counts`."""

    def occupied(app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Answer `IRegistry.occupied`."""

    def users(app: App, channel: str) -> Deferred[Sequence[str]]:
        """Answer `IRegistry.users`."""

    def link() -> Link | None:
        """Tell how the link to the others is; None where there is nobody to be linked to."""

    def hand_over() -> None:
        """Learn that this node sends its subscribers away from now on.

        Who leaves it may come to another one: on other nodes he is announced as gone only if he has not, after some
        seconds, whether this node is still there or not.
        """

    def wind_up() -> None:
        """Learn that the last subscriber has gone: what nobody else would tell is told now, the rest by other nodes."""

    def cut_off_since() -> float | None:
        """Tell since when, in seconds of the clock, this node is cut off from its peers; None where it is not."""
