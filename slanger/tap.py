"""`twistd slanger`: the options, and the one place where the parts are put together."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python import usage

from slanger import __version__
from slanger.api.endpoint import Api
from slanger.api.lean import LeanSite
from slanger.brokers.alone import Alone
from slanger.brokers.redis.root import Root
from slanger.certificates import read_certificate
from slanger.domain.apps import Apps
from slanger.domain.cache import EventCache
from slanger.faults import StartupFault
from slanger.protocol.names import REQUEST_BODY_BYTES
from slanger.services.counts import SubscriptionCounts
from slanger.services.garbage import Garbage
from slanger.services.listening import Listening
from slanger.services.liveness import Liveness
from slanger.services.memory import Memory
from slanger.services.node import Node
from slanger.services.posting import Poster
from slanger.services.registry import ChannelRegistry
from slanger.services.subscribers import Subscribers
from slanger.services.turns import ShortTurns
from slanger.services.users import Users
from slanger.services.webhooks import Webhooks
from slanger.settings import (
    OPTIONS,
    SWITCHES,
    Address,
    MissingOption,
    Settings,
    as_environment,
    endpoint_string,
    read_settings,
)
from slanger.transports.direct import writer
from slanger.transports.shared import SharedPort
from slanger.transports.websocket import MESSAGE_BYTES, WebSocketFactory
from slanger.workers import TETHERED, SharedPortEndpoint, Tether, Workers

if TYPE_CHECKING:
    from slanger.brokers.redis.broker import RedisBroker

ORIGINS = 16**15
"""Names a process may have among all that ever shared a Redis."""

BANNER = r"""
    .d8888b.  888
   d88P  Y88b 888
   Y88b.      888
    "Y888b.   888  8888b.  88888b.   .d88b.   .d88b.  888d888
       "Y88b. 888     "88b 888 "88b d88P"88b d8P  Y8b 888P"
         "888 888 .d888888 888  888 888  888 88888888 888
   Y88b  d88P 888 888  888 888  888 Y88b 888 Y8b.     888
    "Y8888P"  888 "Y888888 888  888  "Y88888  "Y8888  888
                                         888
                                    Y8b d88P
                                     "Y88P"
"""


class Options(usage.Options):
    """The options after the word `slanger`. Slanger's own spellings, with underscores, are understood too."""

    synopsis = "--app-key KEY --secret-file FILE [options]"
    longdesc = (
        "A server for the Pusher Channels protocol. Every option can also be given in the environment, as SLANGER_ and"
        " its name: SLANGER_APP_KEY, SLANGER_SECRET, SLANGER_CLIENT_EVENTS=no."
    )
    optParameters = [
        [option.name, option.short, None, f"{option.help} [{option.default}]" if option.default else option.help]
        for option in OPTIONS
    ]
    optFlags = [
        row
        for switch in SWITCHES
        for row in (
            [switch.name, switch.short, f"{switch.help} [{'on' if switch.default else 'off'}]"],
            [f"no-{switch.name}", None, f"Turn --{switch.name} off."],
        )
    ]
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self._shown = list(self.longOpt)
        self._understand_all_spellings()

    def opt_version(self) -> None:
        """Show slanger's version, and exit."""
        print(f"slanger {__version__}")
        raise SystemExit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line, and check it together with the environment.

        :raises StartupFault: with what is wrong; where something is missing, usage is printed first.
        """
        try:
            super().parseOptions(options)
            self.settings = read_settings(self.given(), os.environ)
            if self.settings.check:
                self._check()
        except usage.UsageError as fault:
            raise StartupFault(f"{fault}; twistd slanger --help shows the options") from None
        except MissingOption:
            print(self)
            raise

    def getUsage(self, width: int | None = None) -> str:
        """Describe each option once, under its first spelling."""
        understood, self.longOpt = self.longOpt, self._shown
        try:
            return super().getUsage(width)
        finally:
            self.longOpt = understood

    def _understand_all_spellings(self) -> None:
        spellings = {name.rstrip("=").replace("-", "_"): name.rstrip("=") for name in self.longOpt}
        for option in OPTIONS:
            for name in option.spellings:
                spellings |= {name: option.name, name.replace("-", "_"): option.name}
        self.synonyms.update(spellings)
        takes_value = {option.name for option in OPTIONS}
        self.longOpt = list({*self.longOpt, *(f"{a}=" if b in takes_value else a for a, b in spellings.items())})

    def _check(self) -> NoReturn:
        """Say what the settings mean, having tried what can be tried without starting."""
        assemble(self.settings, Clock(), secrets.randbelow)
        print(self.settings.explain())
        raise SystemExit(0)

    def given(self) -> dict[str, str | bool]:
        """Give what stands on the command line, by the options' names."""
        given: dict[str, str | bool] = {option.name: self[option.name] for option in OPTIONS if self[option.name]}
        for switch in SWITCHES:
            if self[switch.name] or self[f"no-{switch.name}"]:
                given[switch.name] = not self[f"no-{switch.name}"]
        return given


class Greeting(Service):
    """Says who is here, before anything else does."""

    name = "greeting"
    _log = Logger()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def privilegedStartService(self) -> None:
        """Print the banner."""
        super().privilegedStartService()
        self._log.info("{banner}\nslanger {version}", banner=BANNER, version=__version__)
        if self._settings.redis is None:
            self._log.info("This node is alone, as --redis-url none asks")


def makeService(options: Options) -> IService:
    """Put the parts together; twistd calls this.

    :raises StartupFault: a certificate or an endpoint cannot be used.
    """
    from twisted.internet import reactor

    if options.settings.workers > 1:
        return _watch(options, reactor)
    return assemble(options.settings, cast(IReactorTime, reactor), secrets.randbelow)


def _watch(options: Options, reactor: Any) -> MultiService:
    """Put the parts of a process together that has workers and serves nobody itself."""
    settings = options.settings
    given = {**options.given(), "workers": "1", "reuse-port": True}
    places = [(address.host, address.port) for address in (settings.websocket, settings.api)]
    watching = MultiService()
    Greeting(settings).setServiceParent(watching)
    Workers(reactor, settings.workers, as_environment(given, os.environ), places).setServiceParent(watching)
    return watching


def assemble(settings: Settings, reactor: IReactorTime, random_below: Callable[[int], int]) -> MultiService:
    """Put the parts of a node together.

    :param reactor: its clock, and where it listens.
    :param random_below: its entropy; makes socket ids.
    """
    apps = Apps(settings.apps)
    broker = _broker(settings, reactor, random_below)
    webhooks = Webhooks(reactor, Poster(reactor), random.random)
    counts = SubscriptionCounts(broker, webhooks, reactor)
    registry = ChannelRegistry(broker, counts, webhooks)
    users = Users(broker, reactor)
    broker.attach(Node(registry, users, webhooks))
    liveness = Liveness(reactor, settings.activity_timeout, settings.pong_timeout)
    subscribers = Subscribers(
        apps=apps,
        registry=registry,
        users=users,
        webhooks=webhooks,
        liveness=liveness,
        clock=reactor,
        random_below=random_below,
        activity_timeout=settings.activity_timeout,
        verbose=settings.verbose,
    )
    websockets = WebSocketFactory(
        subscribers, reactor, max(MESSAGE_BYTES, *(app.message_bytes for app in settings.apps))
    )
    body_bytes = max(REQUEST_BODY_BYTES, *(app.body_bytes for app in settings.apps))
    rest = LeanSite(Api(apps, registry, users, reactor, body_bytes, broker.cut_off_since), reactor, writer)
    node = MultiService()
    memory = Memory(reactor, lambda: len(registry) + len(subscribers), Garbage())
    ports = _ports(settings, reactor, websockets, rest)
    if IService.providedBy(broker):
        broker.setServiceParent(node)
    first = Tether(reactor) if TETHERED in os.environ else Greeting(settings)
    turns = ShortTurns(reactor)
    for service in (first, turns, webhooks, counts, registry, users, liveness, subscribers, memory, *ports):
        service.setServiceParent(node)
    return node


def _broker(settings: Settings, reactor: IReactorTime, random_below: Callable[[int], int]) -> Alone | RedisBroker:
    """Make what ties this node to its peers."""
    cache = EventCache(settings.cache_ttl, settings.cache_bytes)
    if settings.redis is None:
        return Alone(reactor, cache)
    from slanger.brokers.redis.broker import RedisBroker  # brings txredisapi, which installs a reactor
    from slanger.brokers.redis.endpoints import redis_endpoint

    origin = f"{random_below(ORIGINS):015x}"
    root = Root(settings.redis_prefix, settings.redis.db, origin, settings.replay_events)
    return RedisBroker(
        address=settings.redis,
        endpoint=redis_endpoint(settings.redis, reactor),
        root=root,
        clock=reactor,
        apps=settings.apps,
        cache=cache,
        cache_ttl=settings.cache_ttl,
        lease=settings.node_lease,
        buffer_bytes=settings.publish_buffer_bytes,
    )


def _ports(
    settings: Settings, reactor: IReactorTime, websockets: IProtocolFactory, rest: IProtocolFactory
) -> Iterator[Listening]:
    """Open a port for each, or one for both."""
    certificate = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = read_certificate(settings.tls_cert, settings.tls_key)

    def listening(what: str, address: Address, factory: IProtocolFactory) -> Listening:
        endpoint = _endpoint(address, reactor, certificate, shared=settings.reuse_port)
        return Listening(endpoint, factory, what, address.text)

    if settings.websocket.same_place(settings.api):
        shared = SharedPort(websockets, rest, reactor)
        yield listening("Slanger WebSocket and API server", settings.websocket, shared)
    else:
        yield listening("Slanger WebSocket server", settings.websocket, websockets)
        yield listening("Slanger API server", settings.api, rest)


def _endpoint(
    address: Address, reactor: Any, certificate: CertificateOptions | None, *, shared: bool
) -> IStreamServerEndpoint:
    if shared:
        return SharedPortEndpoint(reactor, address.host, address.port, certificate if address.tls else None)
    if address.tls:
        return SSL4ServerEndpoint(reactor, address.port, certificate, interface=address.host)
    try:
        return cast("IStreamServerEndpoint", serverFromString(reactor, endpoint_string(address)))
    except Exception as fault:
        raise StartupFault(f"{address.text}: not a usable Twisted endpoint ({fault})") from None
