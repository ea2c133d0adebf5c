"""`twistd slanger`: the options, and the one place where the parts are put together."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python import usage

from slanger import __version__
from slanger.api.endpoint import Amiss, Api
from slanger.api.lean import LeanSite
from slanger.api.site import MetricsSite
from slanger.brokers.alone import Alone
from slanger.brokers.redis.root import Root
from slanger.certificates import read_certificate
from slanger.complaints import Complaints
from slanger.domain.apps import Apps
from slanger.domain.cache import EventCache
from slanger.faults import StartupFault
from slanger.logs import WithLog, observer_for
from slanger.services import process, soketi
from slanger.services.access import AccessLog
from slanger.services.admission import Admission
from slanger.services.counts import SubscriptionCounts
from slanger.services.drain import LONGEST, Draining
from slanger.services.listening import Listening
from slanger.services.liveness import Liveness
from slanger.services.memory import Memory
from slanger.services.metrics import Figure, Metrics, counted, exposition, looked_up
from slanger.services.node import Node
from slanger.services.posting import Poster
from slanger.services.readiness import Readiness
from slanger.services.registry import ChannelRegistry
from slanger.services.strain import LITTLE_MEMORY, Strain
from slanger.services.subscribers import Subscribers
from slanger.services.users import Users
from slanger.services.vitals import Vitals
from slanger.services.webhooks import WEBHOOKS_NEARLY_FULL, Webhooks
from slanger.settings import (
    BACKLOG,
    OPTIONS,
    SWITCHES,
    Address,
    MissingOption,
    Settings,
    as_environment,
    endpoint_string,
    read_settings,
)
from slanger.settings.help import usage_text
from slanger.signals import Signals, SignalsOfWorker
from slanger.systemd import InheritedPort, Notify
from slanger.tallies import Tallies
from slanger.transports.direct import writer
from slanger.transports.proxied import ProxiedPort
from slanger.transports.shared import SharedPort
from slanger.transports.websocket import WebSocketFactory
from slanger.workers import TETHERED, SharedPortEndpoint, Tether, Workers

if TYPE_CHECKING:
    from slanger.brokers.redis.broker import RedisBroker

ORIGINS = 16**15
"""Names a process may have among all that ever shared a Redis."""

COLUMNS = 100
"""Columns of `--help` where nothing says how wide the terminal is."""

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


_log = Logger()


class Options(usage.Options):
    """The options after the word `slanger`. Slanger's own spellings, with underscores, are understood too."""

    synopsis = "--app-key KEY --secret-file FILE [options]"
    optParameters = [[option.name, option.short, None, option.help] for option in OPTIONS]
    optFlags = [
        row
        for switch in SWITCHES
        for row in ([switch.name, switch.short, switch.help], [f"no-{switch.name}", None, f"Turn {switch.name} off."])
    ]
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
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
        """Describe each option once, under its first spelling.

        :param width: columns of the terminal, by default what the environment says.
        """
        given = os.environ.get("COLUMNS", "")
        return usage_text(width or (int(given) if given.isdigit() else COLUMNS))

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
        if self._settings.log_format == "text":
            self._log.info(BANNER)
        self._log.info("slanger {version} starts", event="start", version=__version__)
        if self._settings.redis is None:
            self._log.info("This node is alone, as --redis-url none asks", event="alone")

    def stopService(self) -> None:
        """Say that this was not an accident."""
        super().stopService()
        self._log.info("slanger {version} stops", event="stop", version=__version__)


def makeService(options: Options) -> IService:
    """Put the parts together; twistd calls this.

    :raises StartupFault: a certificate or an endpoint cannot be used.
    """
    from twisted.internet import reactor

    settings, number = options.settings, os.environ.get(TETHERED)
    if "secret" in options.given():
        _log.warn("the process list shows --secret to everybody on this machine; --secret-file FILE does not")
    if settings.workers > 1:
        service = _watch(options, reactor)
    else:
        service = assemble(settings, cast(IReactorTime, reactor), secrets.randbelow, os.environ)
        signals = Signals(reactor) if number is None else SignalsOfWorker(reactor)
        signals.setServiceParent(service)
    twistd: Mapping[str, Any] = options.parent or {}
    if twistd.get("logger"):
        return service
    always = {} if number is None else {"worker": int(number)}
    return WithLog(service, lambda: observer_for(settings.log_format, twistd, always))


def _watch(options: Options, reactor: Any) -> MultiService:
    """Put the parts of a process together that has workers and serves nobody itself."""
    settings = options.settings
    given = {**options.given(), "workers": "1", "reuse-port": True}
    places = [(address.host, address.port) for address in (settings.websocket, settings.api)]
    notify = Notify(reactor, os.environ, lambda: f"{settings.workers} workers")
    kill_time = settings.drain_seconds + LONGEST
    workers = Workers(
        reactor, settings.workers, as_environment(given, os.environ), places, kill_time=kill_time, notify=notify
    )
    watching = MultiService()
    for service in (Greeting(settings), Signals(reactor, workers.kill), workers):
        service.setServiceParent(watching)
    return watching


def assemble(
    settings: Settings,
    reactor: IReactorTime,
    random_below: Callable[[int], int],
    environment: MutableMapping[str, str] | None = None,
) -> Draining:
    """Put the parts of a node together.

    :param reactor: its clock, and where it listens.
    :param random_below: its entropy; makes socket ids.
    :param environment: says where systemd wants to hear of it; see `Notify`.
    """
    apps, limits = Apps(settings.apps), settings.limits
    tallies = Tallies()
    complaints = Complaints(reactor, tallies)
    for app in settings.apps:
        tallies.of(app)
    access_log = AccessLog(reactor) if settings.access_log else None
    broker = _broker(settings, reactor, random_below, complaints)
    webhooks = Webhooks(reactor, Poster(reactor), random.random, tallies)
    counts = SubscriptionCounts(broker, webhooks, reactor)
    registry = ChannelRegistry(broker, counts, webhooks, tallies)
    users = Users(broker, reactor)
    broker.attach(Node(registry, users, webhooks))
    liveness = Liveness(reactor, settings.activity_timeout, settings.pong_timeout)
    strain = Strain(reactor, limits.memory_bytes)
    admission = Admission(limits, reactor, strain.__bool__)
    subscribers = Subscribers(
        apps=apps,
        registry=registry,
        users=users,
        webhooks=webhooks,
        liveness=liveness,
        admission=admission,
        clock=reactor,
        random_below=random_below,
        activity_timeout=settings.activity_timeout,
        tallies=tallies,
        verbose=settings.verbose,
        access_log=access_log,
    )
    websockets = WebSocketFactory(
        subscribers,
        reactor,
        limits,
        tallies,
        complaints,
        limits.longest_message(settings.apps),
        settings.trusted_proxies,
    )
    watched = {("webhooks", WEBHOOKS_NEARLY_FULL): webhooks.nearly_full, ("memory", LITTLE_MEMORY): strain.__bool__}
    vitals = Vitals(reactor, tallies.event_loop_lag_seconds, watched)
    linked = broker.link() is not None
    scrape = _exposition(
        settings, tallies, looked_up(broker, websockets.turn.backlogs, webhooks, vitals, linked=linked)
    )
    notify = Notify(reactor, {} if environment is None else environment, lambda: readiness.describe(len(subscribers)))
    readiness = Readiness(reactor, broker.cut_off_since, notify.ready)
    api = Api(
        apps=apps,
        registry=registry,
        users=users,
        clock=reactor,
        body_bytes=limits.longest_body(settings.apps),
        cut_off_since=broker.cut_off_since,
        take_request=admission.take_request,
        limits=limits,
        cors=settings.cors_origins,
        proxies=settings.trusted_proxies,
        path_prefix=settings.path_prefix,
        complain=complaints.failure,
        amiss=lambda: [Amiss(*each) for each in vitals.amiss()],
        unready=lambda: readiness.reason,
        tallies=tallies,
        scrape=scrape if settings.metrics else None,
        log_request=None if access_log is None else access_log.requested,
    )
    rest = LeanSite(api, reactor, writer)
    node = Draining(
        reactor,
        readiness,
        broker,
        subscribers,
        websockets.handshakes,
        webhooks,
        seconds=settings.drain_seconds,
        on_leaving=lambda: notify.stopping(settings.drain_seconds + LONGEST),
    )
    memory = Memory(reactor, lambda: len(registry) + len(subscribers))
    ports = [*_ports(settings, reactor, websockets, rest, complaints)]
    if settings.metrics_host is not None:
        address = _of_worker(settings.metrics_host)
        endpoint = _endpoint(address, reactor, None, shared=False)
        site = MetricsSite(replace(api, scrape=scrape), reactor)
        ports.append((Listening(endpoint, site, "Slanger metrics", address.text, limits.unsent_bytes), True))
    if IService.providedBy(broker):
        broker.setServiceParent(node)
    first = Tether(reactor) if TETHERED in os.environ else Greeting(settings)
    for service in (
        first,
        vitals,
        webhooks,
        counts,
        registry,
        users,
        liveness,
        subscribers,
        memory,
        strain,
        notify,
    ):
        service.setServiceParent(node)
    for port, for_requests in ports:
        node.add_port(port, for_requests=for_requests)
    readiness.setServiceParent(node)
    return node


def _exposition(settings: Settings, tallies: Tallies, figures: Iterable[Figure]) -> Callable[[], bytes]:
    """Make what writes all metrics."""
    collectors = [Metrics([*figures, *counted(tallies)]), Metrics(process.figures(), process.PREFIX)]
    if settings.soketi_metrics:
        collectors.append(Metrics(soketi.figures(tallies, settings.websocket.port), soketi.PREFIX))
        collectors.append(Metrics(process.figures(), soketi.PREFIX + process.PREFIX))
    return exposition(*collectors)


def _of_worker(address: Address) -> Address:
    """Give the address of this worker's metrics: the first has that of the settings, the second the next port."""
    number = int(os.environ.get(TETHERED, "1"))
    if number == 1:
        return address
    port = address.port + number - 1
    return replace(address, port=port, text=f"{address.host}:{port}")


def _broker(
    settings: Settings, reactor: IReactorTime, random_below: Callable[[int], int], complaints: Complaints
) -> Alone | RedisBroker:
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
        complaints=complaints,
    )


def _ports(
    settings: Settings,
    reactor: IReactorTime,
    websockets: IProtocolFactory,
    rest: IProtocolFactory,
    complaints: Complaints,
) -> Iterator[tuple[Listening, bool]]:
    """Open a port for each, or one for both; tell which is for requests."""
    certificate = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = read_certificate(settings.tls_cert, settings.tls_key)

    def listening(what: str, address: Address, factory: IProtocolFactory, *, proxied: bool) -> Listening:
        text = address.text
        if proxied:  # the header comes before TLS
            if certificate is not None and address.tls:
                factory, address = TLSMemoryBIOFactory(certificate, False, factory), replace(address, tls=False)
            factory = ProxiedPort(factory, settings.trusted_proxies, reactor, settings.limits, complaints)
        endpoint = _endpoint(address, reactor, certificate, shared=settings.reuse_port)
        inherited, unsent = text.startswith("systemd:"), settings.limits.unsent_bytes
        return Listening(endpoint, factory, what, text, unsent, shared=inherited)

    if settings.websocket.same_place(settings.api):
        both = SharedPort(websockets, rest, reactor, settings.limits, settings.path_prefix)
        proxied = settings.proxied("websocket")
        yield listening("Slanger WebSocket and API server", settings.websocket, both, proxied=proxied), True
    else:
        proxied = settings.proxied("websocket")
        yield listening("Slanger WebSocket server", settings.websocket, websockets, proxied=proxied), False
        yield listening("Slanger API server", settings.api, rest, proxied=settings.proxied("api")), True


def _endpoint(
    address: Address, reactor: Any, certificate: CertificateOptions | None, *, shared: bool
) -> IStreamServerEndpoint:
    if shared:
        return SharedPortEndpoint(reactor, address.host, address.port, certificate if address.tls else None, BACKLOG)
    if address.inherited is not None:
        return InheritedPort(reactor, address.inherited, certificate if address.tls else None)
    if address.tls:
        return SSL4ServerEndpoint(reactor, address.port, certificate, BACKLOG, interface=address.host)
    try:
        return cast("IStreamServerEndpoint", serverFromString(reactor, endpoint_string(address)))
    except Exception as fault:
        raise StartupFault(f"{address.text}: not a usable Twisted endpoint ({fault})") from None
