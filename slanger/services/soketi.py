"""The same figures under the names that Soketi gives them, so that its dashboards and alerts go on working.

Names, labels and what is counted are those of Soketi 1.6. What counts requests between nodes stays at nothing, and
truly: a node here never asks another one. Of prom-client's own metrics those of the process are there, those of
Node.js are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from slanger.services.metrics import family_of
from slanger.tallies import Meter, Tallies

PREFIX = "soketi_"
LABELS = ("app_id", "port")

TOTALS: Mapping[str, tuple[str, Callable[[Meter], float]]] = {
    "new_connections": ("Connections that were let in.", lambda meter: meter.connections_opened),
    "new_disconnections": (
        "Connections that ended.",
        lambda meter: meter.connections_opened - meter.connections,
    ),
    "ws_messages_received": ("Messages of clients.", lambda meter: meter.messages_received),
    "ws_messages_sent": ("Messages to clients.", lambda meter: meter.messages_sent),
}
"""Counters whose names end in `_total`, save for one that is not a meter's."""

BYTES: Mapping[str, tuple[str, Callable[[Meter], float]]] = {
    "socket_received_bytes": ("Bytes from clients.", lambda meter: meter.bytes_received),
    "socket_transmitted_bytes": ("Bytes to clients.", lambda meter: meter.bytes_sent),
    "http_received_bytes": ("Bytes of the bodies of REST requests.", lambda meter: meter.api_bytes_received),
    "http_transmitted_bytes": ("Bytes of the bodies of answers.", lambda meter: meter.api_bytes_sent),
}
"""Counters whose names do not, which Prometheus's library for Python knows as untyped."""

BETWEEN_NODES = ("resolved_promises", "uncomplete_promises", "sent_requests", "received_requests", "received_responses")
"""What Soketi counts of requests between nodes."""

RESOLVE_TIMES = ("1", "5", "10", "50", "100", "500", "1000", "+Inf")


class SoketiMetrics(Collector):
    """What Soketi would tell.

    :param port: of the WebSockets, which Soketi gives as a label; 0 where they have none.
    """

    def __init__(self, tallies: Tallies, port: int) -> None:
        self._tallies = tallies
        self._port = str(port)

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        apps = self._tallies.meters[1:]

        def labelled(read: Callable[[Meter], float], meters: Iterable[Meter] = apps) -> Mapping[tuple[str, ...], float]:
            return {(meter.app, self._port): float(read(meter)) for meter in meters}

        connected = labelled(lambda meter: meter.connections)
        yield family_of(GaugeMetricFamily, "connected", Meter.GAUGES["connections"], LABELS, connected, PREFIX)
        for name, (text, read) in TOTALS.items():
            yield family_of(CounterMetricFamily, name, text, LABELS, labelled(read), PREFIX)
        calls = labelled(lambda meter: self._calls(meter.app))
        text = "REST requests that were authenticated."
        yield family_of(CounterMetricFamily, "http_calls_received", text, LABELS, calls, PREFIX)
        for name, (text, read) in BYTES.items():
            yield family_of(UnknownMetricFamily, name, text, LABELS, labelled(read), PREFIX)
        text = "Requests between nodes: none, as nodes here never ask each other."
        nothing = labelled(lambda meter: 0)
        for name in BETWEEN_NODES:
            yield family_of(UnknownMetricFamily, f"horizontal_adapter_{name}", text, LABELS, nothing, PREFIX)
        times = HistogramMetricFamily(f"{PREFIX}horizontal_adapter_resolve_time", text, labels=LABELS)
        for given in nothing:
            times.add_metric(given, [(bound, 0.0) for bound in RESOLVE_TIMES], 0.0)
        yield times

    def _calls(self, app: str) -> int:
        return sum(count for (label, *_), count in self._tallies.api_requests.items() if label == app)
