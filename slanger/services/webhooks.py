"""What apps are told: webhooks, queued, retried and bounded ("Webhooks")."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.domain.apps import App, Apps
from slanger.domain.webhooks import Endpoint, Hook, Occurrence, make_hook
from slanger.interfaces import IWebhooks
from slanger.protocol.names import is_inbox
from slanger.reasons import reason_of
from slanger.tallies import Tallies

Post = Callable[[str, Hook], Deferred[int]]
"""Sends a hook to a URL; fires with the HTTP status, or fails where there was no answer."""

GIVE_UP = 290
"""Seconds after which a hook is dropped. Pusher retries for five minutes; SDKs refuse a hook older than that."""

LONGEST_DELAY = 60
"""Seconds between two attempts, at most."""

QUEUE = 10_000
"""Events that may wait for one endpoint."""

QUEUE_BYTES = 32 * 1024 * 1024
"""Bytes that they may have together: the data of a client event is up to its client."""

WEBHOOKS_NEARLY_FULL = "webhooks: an endpoint's queue is nearly full; what does not fit will be dropped"

NEARLY_FULL = 0.8
"""The part of `QUEUE` from which on the node is degraded."""

BATCH = 100
"""Events in one request, where an endpoint takes several."""

BATCH_DELAY = 0.5
"""Seconds for which events are collected, where an endpoint takes several."""

COMPLAINT_INTERVAL = 60
"""Seconds between two log lines about one endpoint."""


@implementer(IWebhooks)
class Webhooks(Service):
    """Tell each app's endpoints what they want to hear, each at its own pace.

    :param post: sends a request.
    :param jitter: gives a random number from 0 to 1; it spreads retries.
    :param tallies: count what becomes of events.
    """

    name = "webhooks"

    def __init__(
        self, clock: IReactorTime, post: Post, jitter: Callable[[], float], tallies: Tallies | None = None
    ) -> None:
        self._tallies = tallies or Tallies()
        self._clock = clock
        self._post = post
        self._jitter = jitter
        self._lanes: dict[tuple[str, Endpoint], Lane] = {}
        self._stopped = False

    @property
    def unsent(self) -> int:
        """Count the events that wait to be sent, or to be sent again, or for an answer."""
        return sum(lane.unsent for lane in self._lanes.values())

    def flush(self) -> None:
        """Collect no longer: send what waits, as fast as the endpoints take it."""
        for lane in self._lanes.values():
            lane.flush()

    def stopService(self) -> None:
        """Send nothing more."""
        super().stopService()
        self._stopped = True
        for lane in self._lanes.values():
            lane.stop()

    def tell(self, app: App, occurrence: Occurrence) -> None:
        """Tell those of the app's endpoints that want to hear of it."""
        if self._stopped or not app.webhooks or is_inbox(occurrence.channel):
            return
        for endpoint in app.webhooks:
            if endpoint.wants(occurrence):
                place = (app.key, endpoint)
                lane = self._lanes.get(place)
                if lane is None:
                    lane = Lane(app, endpoint, self._clock, self._post, self._jitter, self._tallies)
                    self._lanes[place] = lane
                lane.put(occurrence)

    def waiting(self) -> Mapping[str, int]:
        """Count the events that are not sent yet, by the apps' labels."""
        waiting: Counter[str] = Counter()
        for lane in self._lanes.values():
            waiting[lane.app.label] += lane.unsent
        return waiting

    def nearly_full(self) -> bool:
        """Whether the queue of an endpoint will soon overflow, if nothing changes."""
        return any(lane.fullness >= NEARLY_FULL for lane in self._lanes.values())

    def tidy(self, apps: Apps) -> None:
        """Give up the ways to endpoints that no app names any more.

        What waits for one of them goes to the app's other endpoint of the same URL, where it was only changed.
        """
        for (key, endpoint), lane in tuple(self._lanes.items()):
            app = apps.with_key(key)
            named = () if app is None else app.webhooks
            if endpoint in named:
                continue
            del self._lanes[key, endpoint]
            follow = (each for each in named if each.url == endpoint.url and (key, each) not in self._lanes)
            heir = next(follow, None)
            if heir is None:
                lane.stop()
            else:
                lane.endpoint = heir
                self._lanes[key, heir] = lane


@dataclass(slots=True)
class _Attempt:
    hook: Hook
    size: int
    failures: int = 0


class Lane:
    """The way to one endpoint: one request at a time, in order; what failed tries again beside it.

    So a hook that fails delays itself alone, and an endpoint that is slow delays no other endpoint.

    :ivar endpoint: where it leads.
    """

    _log = Logger()

    def __init__(
        self,
        app: App,
        endpoint: Endpoint,
        clock: IReactorTime,
        post: Post,
        jitter: Callable[[], float],
        tallies: Tallies,
    ) -> None:
        self.app = app
        self._tallies = tallies
        self.endpoint = endpoint
        self._clock = clock
        self._post = post
        self._jitter = jitter
        self._events: deque[tuple[float, bytes]] = deque()
        self._again: deque[_Attempt] = deque()
        self._waiting: dict[int, IDelayedCall] = {}
        self._waiting_events = 0
        self._bytes = 0
        self._collecting: IDelayedCall | None = None
        self._busy = False
        self._stopped = False
        self._lost = 0
        self._complained_at: dict[str, float] = {}
        self._retried_last = False

    def put(self, occurrence: Occurrence) -> None:
        """Queue an event; where the queue is full it is dropped, counted and logged."""
        event = msgspec.json.encode(occurrence)
        if self.unsent >= QUEUE or self._bytes + len(event) > QUEUE_BYTES:
            self._drop(1, "its queue is full")
            return
        self._count("queued", 1)
        self._events.append((self._clock.seconds(), event))
        self._bytes += len(event)
        if not self.endpoint.batch:
            self._send_next()
        elif self._collecting is None:
            self._collecting = self._clock.callLater(BATCH_DELAY, self._collected)

    @property
    def unsent(self) -> int:
        """Count the events that wait, for whatever."""
        return len(self._events) + self._waiting_events

    @property
    def fullness(self) -> float:
        """Tell which part of what may wait does."""
        return max(self.unsent / QUEUE, self._bytes / QUEUE_BYTES)

    def flush(self) -> None:
        """Collect no longer."""
        if self._collecting is not None:
            self._collecting.cancel()
            self._collected()

    def stop(self) -> None:
        """Send nothing more, and say what was left unsent."""
        self._stopped = True
        if self._collecting is not None:
            self._collecting.cancel()
        for call in self._waiting.values():
            call.cancel()
        url = self.endpoint.shown
        if unsent := self.unsent:
            self._log.warn("webhook events for {url} that were not sent: {unsent}", unsent=unsent, url=url)
        if self._lost:
            self._log.warn("webhook events for {url} that were dropped: {lost}", lost=self._lost, url=url)

    def _collected(self) -> None:
        self._collecting = None
        self._send_next()

    def _send_next(self) -> None:
        """Send the next request: in turns one that is tried again and a new one, never a stale one."""
        if self._busy or self._stopped:
            return
        self._drop_stale()
        new = bool(self._events) and self._collecting is None
        if not new and not self._again:
            return
        self._retried_last = bool(self._again) and not (new and self._retried_last)
        attempt = self._again.popleft() if self._retried_last else self._first_attempt()
        self._busy = True
        maybeDeferred(self._post, self.endpoint.url, attempt.hook).addBoth(self._answered, attempt)

    def _first_attempt(self) -> _Attempt:
        count = min(len(self._events), BATCH if self.endpoint.batch else 1)
        queued = [self._events.popleft() for _ in range(count)]
        self._waiting_events += count
        app = self.app
        hook = make_hook(app.key, app.secret, self.endpoint, [Raw(event) for _, event in queued], queued[0][0])
        return _Attempt(hook, sum(len(event) for _, event in queued))

    def _drop_stale(self) -> None:
        """Drop what an endpoint would take for a forgery, so old it is."""
        oldest = self._clock.seconds() - GIVE_UP
        while self._again and self._again[0].hook.time_ms / 1000 < oldest:
            stale = self._again.popleft()
            self._forget(stale)
            self._drop(stale.hook.events, "they could not be sent in time")
        while self._events and self._events[0][0] < oldest:
            _, event = self._events.popleft()
            self._bytes -= len(event)
            self._drop(1, "they could not be sent in time")

    def _answered(self, answer: int | Failure, attempt: _Attempt) -> None:
        self._busy = False
        if isinstance(answer, int) and 200 <= answer < 300:
            self._forget(attempt)
            self._tallies.webhook_requests[self.app.label, "ok"] += 1
            self._count("sent", attempt.hook.events)
        else:
            self._tallies.webhook_requests[self.app.label, "failed"] += 1
            self._try_again(attempt, f"HTTP {answer}" if isinstance(answer, int) else reason_of(answer))
        self._send_next()

    def _try_again(self, attempt: _Attempt, why: str) -> None:
        delay = min(2.0**attempt.failures, LONGEST_DELAY) * (0.75 + self._jitter() / 4)
        attempt.failures += 1
        if self._clock.seconds() + delay - attempt.hook.time_ms / 1000 > GIVE_UP:
            self._forget(attempt)
            self._drop(attempt.hook.events, f"it kept failing, last with: {why}")
        elif not self._stopped:
            self._complain("webhooks for {url} fail, and are tried again: {why}", why=why)
            self._waiting[id(attempt)] = self._clock.callLater(delay, self._ready, attempt)

    def _ready(self, attempt: _Attempt) -> None:
        del self._waiting[id(attempt)]
        self._again.append(attempt)
        self._send_next()

    def _forget(self, attempt: _Attempt) -> None:
        self._waiting_events -= attempt.hook.events
        self._bytes -= attempt.size

    def _drop(self, events: int, why: str) -> None:
        self._lost += events
        self._count("dropped", events)
        self._complain("webhook events for {url} are dropped, {lost} so far: {why}", why=why)

    def _count(self, outcome: str, events: int) -> None:
        self._tallies.webhook_events[self.app.label, outcome] += events

    def _complain(self, text: str, why: str) -> None:
        """Log, but each kind of trouble only once in a while."""
        now = self._clock.seconds()
        if now - self._complained_at.get(text, float("-inf")) >= COMPLAINT_INTERVAL:
            self._complained_at[text] = now
            self._log.warn(text, url=self.endpoint.shown, why=why, lost=self._lost)
