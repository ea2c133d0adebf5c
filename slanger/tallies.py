"""What is counted from the start of a process on: plain numbers, read when somebody asks for metrics.

Counting is one addition to a number or to a dict, so that the hot ways can afford it. Every tally here becomes a metric
of its name, and so does everything of a `Meter`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import ClassVar

from slanger.domain.apps import App

FAN_OUTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Bounds of the histogram of how many subscribers an event has."""

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Bounds of the histograms of times."""


class Tally(Counter[tuple[str, ...]]):
    """A number for each combination of labels that has come up; `tally["1", "origin"] += 1` counts.

    :param text: what is counted, in a sentence.
    :param labels: what tells the numbers apart, such as ``app`` and ``reason``; each has few values.
    """

    def __init__(self, text: str, *labels: str) -> None:
        super().__init__()
        self.text = text
        self.labels = labels


class Histogram:
    """How often a value came up, by size.

    :param text: what is measured, in a sentence.
    :param bounds: the largest value that each but the last of the counts is for, rising.
    :ivar counts: one for each bound, and one for what is beyond the last.
    """

    __slots__ = ("bounds", "counts", "sum", "text")

    def __init__(self, text: str, bounds: Sequence[float]) -> None:
        self.text = text
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def __add__(self, other: Histogram) -> Histogram:
        both = Histogram(self.text, self.bounds)
        both.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        both.sum = self.sum + other.sum
        return both


class Meter:
    """What the hot ways count for one app: attributes, as nothing is cheaper.

    :ivar app: names the app in metrics; empty for what belongs to none, such as connections that were not let in.
    :ivar channels: how many are occupied, by their kind.
    :ivar requests: REST requests that were answered, by endpoint and status.
    :ivar fan_out: subscribers that an event has on this node.
    """

    GAUGES: ClassVar[Mapping[str, str]] = {
        "connections": "Connections that are open.",
        "subscriptions": "Subscriptions of the connections that are open.",
    }
    COUNTS: ClassVar[Mapping[str, str]] = {
        "connections_opened": "Connections that were let in.",
        "messages_received": "Messages of clients.",
        "messages_sent": "Frames sent to clients: messages, pings, pongs and closes.",
        "bytes_received": "Bytes that came over connections of clients, those of handshakes included.",
        "bytes_sent": "Bytes sent over connections of clients, before TLS.",
        "messages_dropped": "Messages that never left, as their reader was too slow; its connection was closed.",
        "api_bytes_received": "Bytes of the bodies of authenticated REST requests.",
        "api_bytes_sent": "Bytes of the bodies of answers to them.",
        "api_events": "Events triggered over REST, once for each channel.",
        "client_events": "Events that clients sent to each other.",
        "node_events": "Events that other nodes published, on channels with subscribers here.",
    }

    __slots__ = (*GAUGES, *COUNTS, "app", "channels", "fan_out", "requests")

    connections: int
    subscriptions: int
    connections_opened: int
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    messages_dropped: int
    api_bytes_received: int
    api_bytes_sent: int
    api_events: int
    client_events: int
    node_events: int

    def __init__(self, app: str) -> None:
        self.app = app
        self.channels: Counter[str] = Counter()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.fan_out = Histogram("Subscribers on this node of each event that was published.", FAN_OUTS)
        for name in (*self.GAUGES, *self.COUNTS):
            setattr(self, name, 0)

    def __add__(self, other: Meter) -> Meter:
        both = Meter(self.app)
        for name in (*self.GAUGES, *self.COUNTS, "fan_out"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        for each in (self, other):
            both.channels.update(each.channels)
            both.requests.update(each.requests)
        return both


class Tallies:
    """Everything that a node counts.

    :param now: seconds on a steady clock, for what takes a fraction of one.
    :ivar nobody: the meter of what belongs to no app.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self._meters: dict[str, Meter] = {}
        self._under_way: list[float] = []
        self.nobody = Meter("")
        self.connections_refused = Tally("Connections that were not let in.", "app", "reason")
        self.proxy_headers_refused = Tally("Connections of trusted proxies that began without a sound PROXY header.")
        self.connections_cut = Tally("Connections closed for what their clients did or left undone.", "reason")
        self.messages_refused = Tally("Messages of clients that were refused.", "app", "reason")
        self.requests_refused = Tally("REST requests that were refused.", "status")
        self.complaints = Tally("Faults that are logged once in a while only.", "kind")
        self.connections_closed = Tally("Connections that ended, by their close code.", "app", "code")
        self.connections_sent_away = Tally(
            "Connections that were closed since their app was removed or disabled.", "app", "code"
        )
        self.reloads = Tally("Times the settings were to be read again.", "outcome")
        self.certificates = Tally("Times changed files of the certificate were read.", "outcome")
        self.auth_failures = Tally(
            "Signatures and keys that were refused, by what they were for.", "app", "by", "reason"
        )
        self.webhook_events = Tally("Webhook events: queued, then sent or dropped.", "app", "outcome")
        self.webhook_requests = Tally("Webhook requests: ok, or failed, to be tried again.", "app", "outcome")
        self.broker_messages = Tally("Messages between nodes, over Redis; what is heard includes our own.", "way")
        self.broker_joins = Tally("Times this node joined the others over Redis.")
        self.broker_cuts = Tally("Times this node was cut off from Redis.")
        self.replays = Tally("Times the log in Redis was asked for events that a channel may lack, once per page.")
        self.replayed_messages = Tally("Messages between nodes that came from the log.")
        self.publish_seconds = Histogram(
            "Seconds from taking an event to handing it to its subscribers' sockets on this node, where it has any.",
            SECONDS,
        )
        self.event_loop_lag_seconds = Histogram(
            "Seconds that the event loop was late, looked at once a second.", SECONDS
        )

    def of(self, app: App) -> Meter:
        """Give the meter of an app."""
        meter = self._meters.get(app.key)
        if meter is None:
            meter = self._meters[app.key] = Meter(app.label)
        return meter

    def show(self, app: App) -> None:
        """Have an app in the metrics, also while there is nothing to count of it, under the name it has by now."""
        self.of(app).app = app.label

    def published(self) -> None:
        """Learn that an event is on its way to subscribers of this node."""
        self._under_way.append(self._now())

    def sent(self) -> None:
        """Learn that all that was on its way has been handed to sockets."""
        if self._under_way:
            now, under_way = self._now(), self._under_way
            self._under_way = []
            for since in under_way:
                self.publish_seconds.observe(now - since)

    @property
    def meters(self) -> Sequence[Meter]:
        """Give a meter for each name there is, that of nobody first: apps with the same id are counted as one."""
        named: dict[str, Meter] = {}
        for each in self._meters.values():
            named[each.app] = named[each.app] + each if each.app in named else each
        return (self.nobody, *named.values())

    def all_tallies(self) -> Iterator[tuple[str, Tally]]:
        """Give every tally by its name."""
        return ((name, each) for name, each in vars(self).items() if isinstance(each, Tally))

    def all_histograms(self) -> Iterator[tuple[str, Histogram]]:
        """Give every histogram of the node by its name."""
        return ((name, each) for name, each in vars(self).items() if isinstance(each, Histogram))
