"""What a node counts, written for Prometheus.

The hot ways only add to plain numbers (`slanger.tallies`); everything else is looked up when somebody asks. Labels are
apps and a few fixed words, never channels, users or addresses: their number is bounded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

import twisted
from slanger import __version__
from slanger.interfaces import IBroker
from slanger.services.vitals import Vitals
from slanger.services.webhooks import Webhooks
from slanger.tallies import Histogram, Meter, Tallies, Tally

PREFIX = "slanger_"

OF_NOBODY = ("messages_", "bytes_")
"""How those counts begin that go up for connections of no app, too: those that are refused."""


Values = Mapping[tuple[str, ...], float]
"""A number for each combination of labels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric.

    :param kind: ``gauge``, ``counter``, ``unknown`` or ``histogram``.
    :param name: without prefix, and without the ``_total`` of a counter.
    :param text: what it is, in a sentence.
    :param read: gives its values, for each combination of labels.
    """

    kind: str
    name: str
    text: str
    labels: Sequence[str]
    read: Callable[[], Mapping[tuple[str, ...], float | Histogram]]

    @property
    def called(self) -> str:
        """Give the name by which Prometheus knows it."""
        return f"{PREFIX}{self.name}{'_total' * (self.kind == 'counter')}"


def looked_up(
    broker: IBroker, backlogs: Callable[[], Mapping[str, int]], webhooks: Webhooks, vitals: Vitals, *, linked: bool
) -> Iterator[Figure]:
    """Give the metrics that nobody counts: they are looked up in the parts of a node.

    :param backlogs: tell what waits for clients, by apps.
    :param linked: whether the broker has a link.
    """

    def degraded() -> Values:
        codes = {code for code, _, _ in vitals.amiss()}
        codes |= {"cut_off"} if broker.cut_off_since() is not None else set()
        return {(code,): float(code in codes) for code in ("cut_off", *vitals.codes)}

    def build() -> Values:
        return {(__version__, platform.python_version(), twisted.__version__): 1}

    def backlog() -> Values:
        return _by_app(backlogs())

    def waiting() -> Values:
        return _by_app(webhooks.waiting())

    def of_link(name: str) -> Callable[[], Values]:
        return lambda: {(): float(getattr(broker.link(), name))}

    yield Figure("gauge", "build_info", "1; the labels say what runs.", ("version", "python", "twisted"), build)
    text = "1 while this is a reason for which /health says degraded."
    yield Figure("gauge", "degraded", text, ("reason",), degraded)
    text = "Bytes for clients that the kernel has not taken yet: in outboxes and in transports."
    yield Figure("gauge", "backlog_bytes", text, ("app",), backlog)
    yield Figure("gauge", "webhook_events_waiting", "Webhook events that are not sent yet.", ("app",), waiting)
    if linked:
        text = "1 while this node and the others hear each other; with Redis only."
        yield Figure("gauge", "broker_up", text, (), of_link("joined"))
        text = "When broker_up took its value, in seconds since 1970; with Redis only."
        yield Figure("gauge", "broker_since_timestamp_seconds", text, (), of_link("since"))
        text = "Messages for other nodes that wait for Redis; with Redis only."
        yield Figure("gauge", "broker_waiting_messages", text, (), of_link("events"))
        yield Figure("gauge", "broker_waiting_bytes", "Bytes of memory that these take.", (), of_link("bytes"))


def counted(tallies: Tallies) -> Iterator[Figure]:
    """Give the metrics that are counted: every meter, tally and histogram there is."""

    def of_apps(name: str) -> Callable[[], Values]:
        return lambda: {(each.app,): float(getattr(each, name)) for each in tallies.meters[1:]}

    def of_all(name: str) -> Callable[[], Values]:
        return lambda: {(each.app,): float(getattr(each, name)) for each in tallies.meters}

    def channels() -> Values:
        return {(each.app, kind): count for each in tallies.meters for kind, count in each.channels.items()}

    def of_tally(tally: Tally) -> Callable[[], Values]:
        return lambda: tally

    def of_node(histogram: Histogram) -> Callable[[], Mapping[tuple[str, ...], Histogram]]:
        return lambda: {(): histogram}

    def requests() -> Values:
        return {
            (each.app, endpoint, str(status)): count
            for each in tallies.meters
            for (endpoint, status), count in each.requests.items()
        }

    def fan_out() -> Mapping[tuple[str, ...], Histogram]:
        return {(each.app,): each.fan_out for each in tallies.meters[1:]}

    def deliveries() -> Values:
        return {(each.app,): each.fan_out.sum for each in tallies.meters[1:]}

    for name, text in Meter.GAUGES.items():
        yield Figure("gauge", name, text, ("app",), of_apps(name))
    yield Figure("gauge", "channels", "Channels with subscribers on this node.", ("app", "kind"), channels)
    for name, text in Meter.COUNTS.items():
        read = of_all(name) if name.startswith(OF_NOBODY) else of_apps(name)
        yield Figure("counter", name, text, ("app",), read)
    text = "REST requests that were answered."
    yield Figure("counter", "api_requests", text, ("app", "endpoint", "status"), requests)
    yield Figure("counter", "deliveries", "Events given to subscribers of this node.", ("app",), deliveries)
    yield Figure("histogram", "fan_out", tallies.nobody.fan_out.text, ("app",), fan_out)
    for name, tally in tallies.all_tallies():
        yield Figure("counter", name, tally.text, tally.labels, of_tally(tally))
    for name, histogram in tallies.all_histograms():
        yield Figure("histogram", name, histogram.text, (), of_node(histogram))


def described() -> Iterator[Figure]:
    """Give every metric there is, for who wants to read of them; none of them can be read itself."""
    nothing: Any = None
    vitals = Vitals(nothing, Histogram("", ()), {})
    yield from looked_up(nothing, nothing, nothing, vitals, linked=True)
    yield from counted(Tallies())


class Metrics(Collector):
    """Figures, as Prometheus's library takes them."""

    def __init__(self, figures: Iterable[Figure], prefix: str = PREFIX) -> None:
        self._figures = tuple(figures)
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Give every family; those that have no value yet, too, and a zero where there is nothing to tell apart."""
        for figure in self._figures:
            family = _FAMILIES[figure.kind](self._prefix + figure.name, figure.text, labels=figure.labels)
            values = figure.read() or ({} if figure.labels else {(): 0.0})
            for labels, value in values.items():
                if isinstance(value, Histogram):
                    family.add_metric(labels, _buckets(value), value.sum)
                else:
                    family.add_metric(labels, float(value))
            yield family


_FAMILIES: Mapping[str, Any] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "unknown": UnknownMetricFamily,
    "histogram": HistogramMetricFamily,
}


def exposition(*collectors: Collector) -> Callable[[], bytes]:
    """Give what writes all metrics, those of Python included, in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Count up: how many were at most so large."""
    total, buckets = 0, []
    bounds = [*map(str, map(float, histogram.bounds)), "+Inf"]
    for bound, count in zip(bounds, histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def _by_app(numbers: Mapping[str, int]) -> Values:
    return {(app,): float(number) for app, number in numbers.items()}
