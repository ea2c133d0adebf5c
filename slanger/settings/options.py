"""Every option there is: flags, environment and settings file all read this table."""

from __future__ import annotations

from dataclasses import dataclass, fields

from slanger.domain.limits import Limits
from slanger.domain.webhooks import PUSHER_KINDS
from slanger.protocol import names

NONE = "none"
"""What a limit is set to where there is to be none."""

CACHE_BYTES = 64 * 1024 * 1024
"""Bytes of events that cache channels remember."""

PUBLISH_BUFFER_BYTES = 32 * 1024 * 1024
"""Bytes of events that wait while Redis is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option that takes a value.

    :param key: its name in an app's table of the settings file; None for what belongs to the node.
    :param default: as it would be typed; None where there is none.
    :param number: whether it counts something: a whole number.
    :param least: the smallest one.
    :param optional: whether it may be `none` instead of a number, for no limit.
    :param several: whether it takes several texts, separated by commas; in a settings file an array of them.
    :param spellings: other names that are understood.
    :param live: whether an option of the node can change without a restart. What belongs to an app always can. The
        parts that heed it have an attribute of its name, which `slanger.reload` writes.
    """

    name: str
    help: str
    short: str | None = None
    key: str | None = None
    default: str | None = None
    number: bool = False
    least: int = 1
    optional: bool = False
    several: bool = False
    spellings: tuple[str, ...] = ()
    live: bool = False

    @property
    def of_app(self) -> bool:
        """Whether it belongs to an app."""
        return self.key is not None or self.name.startswith("webhook-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """An option that is on or off: `--NAME` or `--no-NAME`.

    :param of_app: whether it is a switch of an app, so that it may stand in an app's table of the settings file.
    :param live: as in `Option`.
    """

    name: str
    help: str
    short: str | None = None
    default: bool = False
    of_app: bool = True
    live: bool = False


def _limit(name: str, default: int, text: str, *, optional: bool = False) -> Option:
    typed = NONE if default == names.UNLIMITED else str(default)
    return Option(name=name, key=name, default=typed, number=True, optional=optional, help=text)


def _node_limit(name: str, text: str, *, optional: bool = False) -> Option:
    """Make the option of one of the `Limits`; one whose default is 0 is worked out, which the text tells."""
    default = getattr(Limits(), name.replace("-", "_"))
    if default == names.UNLIMITED:
        return Option(name=name, default=NONE, number=True, optional=True, live=True, help=text)
    return Option(
        name=name, default=str(default) if default else None, number=True, optional=optional, live=True, help=text
    )


OPTIONS = (
    Option(name="app-key", short="k", key="key", help="Key of the app; clients connect to /app/KEY."),
    Option(
        name="secret",
        short="s",
        key="secret",
        help="Secret of the app. The process list shows it: prefer --secret-file.",
    ),
    Option(name="secret-file", key="secret-file", help="File that holds the secret of the app."),
    Option(name="app-id", key="id", help="Id of the app in REST paths [any]."),
    Option(name="config", help="Settings file, in TOML."),
    Option(
        name="api-host",
        short="a",
        default="0.0.0.0:4567",
        help="REST API: HOST:PORT, systemd:NAME or a Twisted endpoint.",
    ),
    Option(
        name="websocket-host",
        short="w",
        default="0.0.0.0:8080",
        help="WebSockets: the same; the same address puts both on one port.",
    ),
    Option(
        name="redis-url",
        short="r",
        default="redis://127.0.0.1:6379/0",
        spellings=("redis-address",),
        help="Redis shared by the nodes, or none.",
    ),
    Option(name="redis-prefix", default="slanger", help="What the names of all keys and topics in Redis begin with."),
    Option(
        name="node-lease",
        default="6",
        number=True,
        help="Seconds after which the other nodes take a silent node for dead.",
    ),
    Option(
        name="replay-events",
        default="10000",
        number=True,
        help="Events of an app that Redis keeps for nodes that were cut off.",
    ),
    Option(
        name="publish-buffer-bytes",
        default=str(PUBLISH_BUFFER_BYTES),
        number=True,
        help="Bytes of events that wait while Redis is away.",
    ),
    Option(
        name="workers",
        default="1",
        number=True,
        help="Processes that serve on the same ports, tied together by Redis.",
    ),
    _node_limit("node-connections", "Clients connected at the same time, over all apps; others are told to come back."),
    _node_limit("address-connections", "Clients connected at the same time from one IPv4 address, or one /64 of IPv6."),
    _node_limit("connects-per-second", "Clients let in per second; the others are told to come back."),
    _node_limit(
        "messages-per-second",
        "Messages and pings of one connection per second; up to twenty times as many at once.",
        optional=True,
    ),
    _node_limit("message-bytes", "Bytes of one WebSocket message and frame [131072, or what event-data-bytes needs]."),
    _node_limit("header-bytes", "Bytes of an opening handshake, or of the head of a REST request."),
    _node_limit("body-bytes", "Bytes of the body of a REST request [1048576, or what event-data-bytes needs]."),
    _node_limit("handshake-timeout", "Seconds an opening handshake may take."),
    _node_limit("close-timeout", "Seconds a client has to answer a close."),
    _node_limit("request-timeout", "Seconds a REST request may take to arrive."),
    _node_limit("keep-alive", "Seconds for which an idle REST connection is kept."),
    _node_limit("backlog-bytes", "Bytes that may wait for one slow reader."),
    _node_limit("total-backlog-bytes", "Bytes that may wait for all slow readers together.", optional=True),
    _node_limit("unsent-bytes", "Bytes for one client that the kernel holds and has not sent yet."),
    _node_limit("memory-bytes", "Resident memory above which no client is let in."),
    Option(
        name="cors-origins",
        live=True,
        several=True,
        help="Origins of the web pages that may read answers of the REST API, separated by commas [none].",
    ),
    Option(
        name="metrics-host",
        help="Metrics for Prometheus on a port of their own: HOST:PORT or a Twisted endpoint string [off].",
    ),
    Option(name="log-format", default="text", help="How the log is written: text, or json for one object per line."),
    Option(
        name="drain-seconds",
        default="10",
        number=True,
        least=0,
        live=True,
        help="Seconds over which clients are sent away at a stop; 0 sends all away at once.",
    ),
    Option(name="tls-cert", live=True, help="Certificate in PEM, with its chain: the ports speak TLS."),
    Option(name="tls-key", live=True, help="Private key of the certificate [in the certificate's file]."),
    Option(
        name="tls-watch-seconds",
        default="5",
        number=True,
        live=True,
        help="Seconds between two checks whether the certificate's files were renewed.",
    ),
    Option(name="tls-ports", default="both", help="Which ports speak TLS: both, websocket or api."),
    Option(
        name="trusted-proxies",
        help="Proxies whose X-Forwarded-For or PROXY header is believed: networks, addresses or unix, by commas.",
    ),
    Option(
        name="proxy-protocol",
        default="none",
        help="Which ports trusted proxies send PROXY headers to: none, both, websocket or api.",
    ),
    Option(name="path-prefix", help="What comes before the paths of the REST API, as in /realtime/apps/1/events."),
    Option(
        name="activity-timeout",
        default=str(names.ACTIVITY_TIMEOUT),
        number=True,
        live=True,
        help="Seconds of silence after which clients ping.",
    ),
    Option(
        name="pong-timeout",
        default=str(names.PONG_TIMEOUT),
        number=True,
        live=True,
        help="Seconds to wait for an answer to a ping.",
    ),
    Option(
        name="cache-ttl",
        default=str(names.CACHE_TTL),
        number=True,
        live=True,
        help="Seconds a cache channel remembers its event.",
    ),
    Option(
        name="cache-bytes",
        default=str(CACHE_BYTES),
        number=True,
        live=True,
        help="Bytes all cache channels may remember.",
    ),
    Option(name="webhook-url", help="URL that webhooks are sent to; a settings file may have several."),
    Option(
        name="webhook-events",
        default=", ".join(PUSHER_KINDS),
        help="Webhooks that are sent, separated by commas; there are connection_opened and connection_closed too.",
    ),
    _limit("authorization-timeout", 30, "Seconds that clients have for it, with --authorized-connections."),
    Option(
        name="termination-code",
        key="termination-code",
        default="4009",
        number=True,
        help="Close code of terminated connections: clients stay away after 4009, come back after 4200.",
    ),
    _limit(
        "connections", names.UNLIMITED, "Clients of the app connected at the same time, on each node.", optional=True
    ),
    _limit(
        "requests-per-second", names.UNLIMITED, "REST requests of the app in a second, on each node.", optional=True
    ),
    Option(
        name="origins",
        key="origins",
        several=True,
        help="Origins of the web pages clients may come from, separated by commas [any].",
    ),
    _limit("connection-channels", names.CONNECTION_CHANNELS, "Channels one connection may be on.", optional=True),
    _limit("presence-members", names.PRESENCE_MEMBERS, "Users on one presence channel."),
    _limit("presence-member-bytes", names.PRESENCE_MEMBER_BYTES, "Bytes of one user's channel_data."),
    _limit("user-id-length", names.USER_ID_LENGTH, "Characters in a presence user id."),
    _limit("channel-name-length", names.CHANNEL_NAME_LENGTH, "Characters in a channel name."),
    _limit("event-name-length", names.EVENT_NAME_LENGTH, "Characters in the name of an event."),
    _limit("event-data-bytes", names.EVENT_DATA_BYTES, "Bytes of data in an event."),
    _limit("event-channels", names.EVENT_CHANNELS, "Channels one event may be sent to."),
    _limit("batch-events", names.BATCH_EVENTS, "Events in a batch."),
    _limit("watchlist-users", names.WATCHLIST_USERS, "Users one user may watch."),
    _limit(
        "client-events-per-second", names.CLIENT_EVENTS_PER_SECOND, "Client events a connection may send in a second."
    ),
)

SWITCHES = (
    Switch(name="verbose", short="v", of_app=False, live=True, help="Log every frame in and out, auth strings masked."),
    Switch(name="reuse-port", of_app=False, help="Let other processes listen on the same ports (SO_REUSEPORT)."),
    Switch(
        name="metrics", of_app=False, help="Metrics for Prometheus at /metrics of the REST API, for whoever reaches it."
    ),
    Switch(name="soketi-metrics", of_app=False, help="Give metrics under Soketi's names, too."),
    Switch(
        name="access-log", of_app=False, help="Log a line for each REST request, and when a connection comes or goes."
    ),
    Switch(name="check", of_app=False, help="Check the settings, say what they mean, and exit."),
    Switch(name="enabled", default=True, help="Serve the app; if off, its clients are closed with 4003."),
    Switch(name="client-events", default=True, help="Let subscribers send events to each other."),
    Switch(name="watchlists", default=True, help="Tell users who of their watchlist is online."),
    Switch(name="subscription-counts", help="Tell subscribers how many they are."),
    Switch(name="require-origin", help="Refuse clients that name no origin, where --origins are given."),
    Switch(
        name="authorized-connections",
        help="Close clients that neither sign in nor join a channel with authorisation, in time.",
    ),
    Switch(
        name="subscription-errors", default=True, help="Send pusher:subscription_error when a subscription is refused."
    ),
    Switch(
        name="internal-subscription-errors",
        default=True,
        help="Send pusher_internal:subscription_error too (the .NET client).",
    ),
)

_OF_NODE: tuple[Option | Switch, ...] = tuple(option for option in (*OPTIONS, *SWITCHES) if not option.of_app)

_LIMITS = {each.name.replace("_", "-") for each in fields(Limits)}

LIVE = tuple(option for option in _OF_NODE if option.live and option.name not in _LIMITS)
"""Options of the node that can change without a restart, beside its limits, which all can."""

FIXED = tuple(option for option in _OF_NODE if not option.live)
"""Options of the node that hold until the process ends."""
