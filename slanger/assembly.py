"""The one place where the parts of a node are put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from slanger.api.endpoint import Amiss, Api
from slanger.api.lean import LeanSite
from slanger.api.site import MetricsSite
from slanger.brokers.alone import Alone
from slanger.brokers.redis.root import Root
from slanger.certificates import read_certificate
from slanger.complaints import Complaints
from slanger.domain.apps import Apps
from slanger.domain.cache import EventCache
from slanger.ports import Ports
from slanger.reload import Parts, Reload
from slanger.renewal import Renewal
from slanger.services import process, soketi
from slanger.services.access import AccessLog
from slanger.services.admission import Admission
from slanger.services.counts import SubscriptionCounts
from slanger.services.drain import LONGEST, Draining
from slanger.services.garbage import Garbage
from slanger.services.liveness import Liveness
from slanger.services.memory import Memory
from slanger.services.metrics import Figure, Metrics, counted, exposition, looked_up
from slanger.services.node import Node
from slanger.services.posting import Poster
from slanger.services.readiness import Readiness
from slanger.services.registry import ChannelRegistry
from slanger.services.strain import LITTLE_MEMORY, Strain
from slanger.services.subscribers import Subscribers
from slanger.services.turns import ShortTurns
from slanger.services.users import Users
from slanger.services.vitals import Vitals
from slanger.services.webhooks import WEBHOOKS_NEARLY_FULL, Webhooks
from slanger.settings import Settings
from slanger.systemd import Notify
from slanger.tallies import Tallies
from slanger.transports.direct import write
from slanger.transports.websocket import WebSocketFactory

if TYPE_CHECKING:
    from slanger.brokers.redis.broker import RedisBroker

ORIGINS = 16**15
"""Names a process may have among all that ever shared a Redis."""


def assemble(
    settings: Settings,
    reactor: IReactorTime,
    random_below: Callable[[int], int],
    environment: MutableMapping[str, str] | None = None,
    read: Callable[[], Deferred[Settings]] | None = None,
    first: Iterable[Service] = (),
) -> Draining:
    """Put the parts of a node together.

    :param reactor: its clock, and where it listens.
    :param random_below: its entropy; makes socket ids.
    :param environment: says where systemd wants to hear of it; see `Notify`.
    :param read: reads the settings again; by default they stay.
    :param first: begin before ports are opened, and end after all else.
    """
    apps = Apps(settings.apps)
    settings = replace(settings, limits=settings.limits.fitting(apps))
    limits, tallies = settings.limits, Tallies()
    complaints = Complaints(reactor, tallies)
    access_log = AccessLog(reactor) if settings.access_log else None
    cache = EventCache(settings.cache_ttl, settings.cache_bytes)
    broker = _broker(settings, reactor, random_below, apps, cache, complaints)
    webhooks = Webhooks(reactor, Poster(reactor), random.random, tallies)
    counts = SubscriptionCounts(broker, webhooks, reactor)
    registry = ChannelRegistry(broker, counts, webhooks, tallies)
    users = Users(broker, reactor)
    broker.attach(Node(registry, users, webhooks))
    liveness = Liveness(reactor, settings.activity_timeout, settings.pong_timeout)
    strain = Strain(reactor, limits)
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
    websockets = WebSocketFactory(subscribers, reactor, limits, tallies, complaints, settings.trusted_proxies)
    memory = Memory(reactor, lambda: len(registry) + len(subscribers), Garbage())
    watched = {("webhooks", WEBHOOKS_NEARLY_FULL): webhooks.nearly_full, ("memory", LITTLE_MEMORY): strain.__bool__}
    vitals = Vitals(reactor, tallies.event_loop_lag_seconds, watched)
    linked = broker.link() is not None
    figures = looked_up(broker, websockets.turn.backlogs, webhooks, vitals, linked=linked)
    scrape = _exposition(settings, tallies, figures)
    notify = Notify(reactor, {} if environment is None else environment, lambda: readiness.describe(len(subscribers)))
    readiness = Readiness(reactor, broker.cut_off_since, notify.ready)
    api = Api(
        apps=apps,
        registry=registry,
        users=users,
        clock=reactor,
        cut_off_since=broker.cut_off_since,
        take_request=admission.take_request,
        limits=limits,
        cors_origins=settings.cors_origins,
        proxies=settings.trusted_proxies,
        path_prefix=settings.path_prefix,
        complain=complaints.failure,
        amiss=lambda: [Amiss(*each) for each in vitals.amiss()],
        unready=lambda: readiness.reason,
        tallies=tallies,
        scrape=scrape if settings.metrics else None,
        log_request=None if access_log is None else access_log.requested,
    )
    rest = LeanSite(api, reactor, write)
    renewal = _renewal(settings, reactor, tallies)
    ports = Ports(settings, reactor, renewal, complaints)
    ports.open(websockets, rest)
    if settings.metrics_host is not None:
        site = MetricsSite(replace(api, scrape=scrape), reactor)
        ports.limited.append(site)
        ports.open_for_metrics(settings.metrics_host, site)
    node = Draining(
        reactor,
        readiness,
        broker,
        subscribers,
        websockets.handshakes,
        webhooks,
        drain_seconds=settings.drain_seconds,
        on_leaving=(rest.leave, lambda: notify.stopping(node.drain_seconds + LONGEST)),
    )
    parts = Parts(
        apps=apps,
        broker=broker,
        webhooks=webhooks,
        subscribers=subscribers,
        renewal=renewal,
        tallies=tallies,
        limited=(websockets, rest, subscribers, strain, *ports.limited),
        others=tuple(part for part in (liveness, subscribers, cache, renewal, rest, node) if part is not None),
    )
    reload = Reload(settings, read or (lambda: succeed(settings)), parts.take_over, notify, tallies)
    parts.show_apps()
    for each in (broker, renewal):
        if IService.providedBy(each):
            each.setServiceParent(node)
    turns = ShortTurns(reactor)
    services = (turns, vitals, webhooks, counts, registry, users, liveness, subscribers, memory, strain, notify, reload)
    for service in (*first, *services):
        service.setServiceParent(node)
    for port, for_requests in ports.for_clients:
        node.add_port(port, for_requests=for_requests)
    if ports.for_metrics is not None:  # told to the very end
        ports.for_metrics.setServiceParent(node)
    readiness.setServiceParent(node)
    return node


def _exposition(settings: Settings, tallies: Tallies, figures: Iterable[Figure]) -> Callable[[], bytes]:
    """Make what writes all metrics."""
    collectors = [Metrics([*figures, *counted(tallies)]), Metrics(process.figures(), process.PREFIX)]
    if settings.soketi_metrics:
        collectors.append(Metrics(soketi.figures(tallies, settings.websocket.port), soketi.PREFIX))
        collectors.append(Metrics(process.figures(), soketi.PREFIX + process.PREFIX))
    return exposition(*collectors)


def _renewal(settings: Settings, reactor: IReactorTime, tallies: Tallies) -> Renewal | None:
    """Read the certificate, if there is one."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    certificate = read_certificate(settings.tls_cert, settings.tls_key)
    return Renewal(certificate, settings.tls_watch_seconds, reactor, tallies)


def _broker(
    settings: Settings,
    reactor: IReactorTime,
    random_below: Callable[[int], int],
    apps: Apps,
    cache: EventCache,
    complaints: Complaints,
) -> Alone | RedisBroker:
    """Make what ties this node to its peers."""
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
        apps=apps,
        cache=cache,
        lease=settings.node_lease,
        buffer_bytes=settings.publish_buffer_bytes,
        complaints=complaints,
    )
