"""What a node counts, written for Prometheus.

The hot ways only add to plain numbers (`slanger.tallies`); everything else is looked up when somebody asks. Labels are
apps and a few fixed words, never channels, users or addresses: their number is bounded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import twisted
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from slanger import __version__
from slanger.interfaces import IBroker
from slanger.services.subscribers import Subscribers
from slanger.services.vitals import Vitals
from slanger.services.webhooks import Webhooks
from slanger.tallies import Histogram, Meter, Tallies

PREFIX = "slanger_"

OF_NOBODY = ("messages_", "bytes_")
"""How those counts begin that go up for connections of no app, too: those that are refused."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something that is looked up when somebody asks.

    :param text: what it is, in a sentence.
    :param read: gives a number for each combination of labels.
    """

    name: str
    text: str
    labels: Sequence[str]
    read: Callable[[], Mapping[tuple[str, ...], float]]


def gauges(broker: IBroker, subscribers: Subscribers, webhooks: Webhooks, vitals: Vitals) -> Iterator[Gauge]:
    """Give everything that is looked up in the parts of a node."""

    def degraded() -> Mapping[tuple[str, ...], float]:
        codes = {code for code, _, _ in vitals.amiss()}
        codes |= {"cut_off"} if broker.cut_off_since() is not None else set()
        return {(code,): float(code in codes) for code in ("cut_off", *vitals.codes)}

    yield Gauge(
        "build_info",
        "1; the labels say what is running.",
        ("version", "python", "twisted"),
        lambda: {(__version__, platform.python_version(), twisted.__version__): 1},
    )
    yield Gauge("degraded", "1 while this is a reason for which /health says degraded.", ("reason",), degraded)
    yield Gauge(
        "backlog_bytes",
        "Bytes for clients that the kernel has not taken yet: in outboxes and in transports.",
        ("app",),
        lambda: _by_app(subscribers.backlogs()),
    )
    yield Gauge(
        "webhook_events_waiting",
        "Webhook events that are not sent yet.",
        ("app",),
        lambda: _by_app(webhooks.waiting()),
    )
    if broker.link() is None:
        return
    yield Gauge("broker_up", "1 while this node and the others hear each other.", (), _of(broker, "joined"))
    yield Gauge(
        "broker_since_timestamp_seconds", "When broker_up took its value, since 1970.", (), _of(broker, "since")
    )
    yield Gauge("broker_waiting_messages", "Messages for other nodes that wait for Redis.", (), _of(broker, "events"))
    yield Gauge("broker_waiting_bytes", "Bytes of memory that these take.", (), _of(broker, "bytes"))


class Metrics(Collector):
    """All that a node counts, as families of Prometheus.

    :param looked_up: beside what is counted.
    """

    def __init__(self, tallies: Tallies, looked_up: Iterable[Gauge]) -> None:
        self._tallies = tallies
        self._looked_up = tuple(looked_up)

    def collect(self) -> Iterator[Metric]:
        """Give every family; those that have no value yet, too."""
        meters = self._tallies.meters
        for gauge in self._looked_up:
            yield family_of(GaugeMetricFamily, gauge.name, gauge.text, gauge.labels, gauge.read())
        for name, text in Meter.GAUGES.items():
            yield family_of(GaugeMetricFamily, name, text, ("app",), _of_meters(meters[1:], name))
        kinds = {(each.app, kind): float(count) for each in meters for kind, count in each.channels.items()}
        yield family_of(
            GaugeMetricFamily, "channels", "Channels with subscribers on this node.", ("app", "kind"), kinds
        )
        for name, text in Meter.COUNTS.items():
            counting = meters if name.startswith(OF_NOBODY) else meters[1:]
            yield family_of(CounterMetricFamily, name, text, ("app",), _of_meters(counting, name))
        yield self._fan_out(meters)
        deliveries = {(each.app,): each.fan_out.sum for each in meters[1:]}
        text = "Events given to subscribers of this node."
        yield family_of(CounterMetricFamily, "deliveries", text, ("app",), deliveries)
        for name, tally in self._tallies.all_tallies():
            yield family_of(CounterMetricFamily, name, tally.text, tally.labels, tally)
        for name, histogram in self._tallies.all_histograms():
            family = HistogramMetricFamily(PREFIX + name, histogram.text)
            family.add_metric([], _buckets(histogram), histogram.sum)
            yield family

    def _fan_out(self, meters: Sequence[Meter]) -> Metric:
        family = HistogramMetricFamily(PREFIX + "fan_out", meters[0].fan_out.text, labels=["app"])
        for meter in meters[1:]:
            family.add_metric([meter.app], _buckets(meter.fan_out), meter.fan_out.sum)
        return family


Family = type[GaugeMetricFamily] | type[CounterMetricFamily] | type[UnknownMetricFamily]


def family_of(
    kind: Family,
    name: str,
    text: str,
    labels: Sequence[str],
    values: Mapping[tuple[str, ...], float],
    prefix: str = PREFIX,
) -> Metric:
    """Make a family of what there is; one without labels has a value from the start."""
    family = kind(prefix + name, text, labels=labels)
    for given, value in values.items() or ({(): 0.0}.items() if not labels else ()):
        family.add_metric(given, float(value))
    return family


def exposition(collectors: Iterable[Collector], also_as: Sequence[str] = ()) -> Callable[[], bytes]:
    """Give what writes all metrics, those of the process and of Python included, in Prometheus's text format.

    :param also_as: prefixes under which those of the process are given once more.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    for namespace in ("", *also_as):
        ProcessCollector(namespace, registry=registry)
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


def _of_meters(meters: Iterable[Meter], name: str) -> Mapping[tuple[str, ...], float]:
    return {(each.app,): float(getattr(each, name)) for each in meters}


def _by_app(numbers: Mapping[str, int]) -> Mapping[tuple[str, ...], float]:
    return {(app,): float(number) for app, number in numbers.items()}


def _of(broker: IBroker, name: str) -> Callable[[], Mapping[tuple[str, ...], float]]:
    return lambda: {(): float(getattr(broker.link(), name))}
