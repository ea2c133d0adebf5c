"""The same figures under the names that Soketi gives them, so that its dashboards and alerts go on working.

Names, labels and what is counted are those of Soketi 1.6. What counts requests between nodes stays at nothing, and
truly: a node here never asks another one. Of prom-client's own metrics those of the process are there, those of
Node.js are not. Counters of Soketi's whose names do not end in `_total` are untyped here, as Prometheus's library for
Python would give them that ending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from slanger.services.metrics import Figure, Values
from slanger.tallies import Histogram, Meter, Tallies

PREFIX = "soketi_"
LABELS = ("app_id", "port")

BETWEEN_NODES = ("resolved_promises", "uncomplete_promises", "sent_requests", "received_requests", "received_responses")
"""What Soketi counts of requests between nodes."""


def figures(tallies: Tallies, port: int) -> Iterator[Figure]:
    """Give what Soketi would tell.

    :param port: of the WebSockets, which Soketi gives as a label; 0 where they have none.
    """

    def of_apps(read: Callable[[Meter], float]) -> Callable[[], Values]:
        return lambda: {(meter.app, str(port)): float(read(meter)) for meter in tallies.meters[1:]}

    def calls(meter: Meter) -> int:
        return sum(meter.requests.values())

    def figure(kind: str, name: str, text: str, read: Callable[[Meter], float]) -> Figure:
        return Figure(kind, name, text, LABELS, of_apps(read))

    yield figure("gauge", "connected", "Connections that are open.", lambda m: m.connections)
    yield figure("counter", "new_connections", "Connections that were let in.", lambda m: m.connections_opened)
    yield figure(
        "counter", "new_disconnections", "Connections that ended.", lambda m: m.connections_opened - m.connections
    )
    yield figure("unknown", "socket_received_bytes", "Bytes from clients.", lambda m: m.bytes_received)
    yield figure("unknown", "socket_transmitted_bytes", "Bytes to clients.", lambda m: m.bytes_sent)
    yield figure("counter", "ws_messages_received", "Messages of clients.", lambda m: m.messages_received)
    yield figure("counter", "ws_messages_sent", "Messages to clients.", lambda m: m.messages_sent)
    yield figure("unknown", "http_received_bytes", "Bytes of the bodies of requests.", lambda m: m.api_bytes_received)
    yield figure("unknown", "http_transmitted_bytes", "Bytes of the bodies of answers.", lambda m: m.api_bytes_sent)
    yield figure("counter", "http_calls_received", "REST requests that were authenticated.", calls)
    text = "Requests between nodes: none, as nodes here never ask each other."
    for name in BETWEEN_NODES:
        yield figure("unknown", f"horizontal_adapter_{name}", text, lambda m: 0)
    never = Histogram(text, (1, 5, 10, 50, 100, 500, 1000))

    def times() -> Mapping[tuple[str, ...], Histogram]:
        return {(meter.app, str(port)): never for meter in tallies.meters[1:]}

    yield Figure("histogram", "horizontal_adapter_resolve_time", text, LABELS, times)
