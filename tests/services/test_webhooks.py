"""What apps are told: queued, retried and bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.domain.apps import Apps
from slanger.domain.webhooks import KINDS, OWN_KINDS, Endpoint, Hook, Occurrence
from slanger.interfaces import IWebhooks
from slanger.protocol import signing
from slanger.services import webhooks as room
from slanger.services.webhooks import Webhooks
from slanger.tallies import Tallies
from tests.builders import KEY, Client, Json, MemoryNode, make_app, make_endpoint

HOOK, OTHER = "http://127.0.0.1/hook", "http://127.0.0.1/other"
START = 1_700_000_000.0


class Post:
    """An HTTP client that keeps what it posts, and when; each waits until it is answered, or is answered at once.

    :param answers: what each URL answers at once: a status, or an exception.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers: dict[str, int | Exception] = {}
        self.posted: list[tuple[float, str, Hook]] = []
        self.waiting: dict[str, list[Deferred[int]]] = {}

    def __call__(self, url: str, hook: Hook) -> Deferred[int]:
        """Keep a request."""
        self.posted.append((self._clock.seconds() - START, url, hook))
        answer: Deferred[int] = Deferred()
        self.waiting.setdefault(url, []).append(answer)
        if url in self.answers:
            self.answer(self.answers[url], url)
        return answer

    def answer(self, answer: int | Exception = 200, url: str = HOOK) -> None:
        """Answer the oldest request that waits."""
        waiting = self.waiting[url].pop(0)
        if isinstance(answer, int):
            waiting.callback(answer)
        else:
            waiting.errback(Failure(answer))

    def times(self, url: str = HOOK) -> list[float]:
        """Say when there were requests."""
        return [when for when, each, _ in self.posted if each == url]

    def bodies(self, url: str = HOOK) -> list[list[Json]]:
        """Give the events of each request."""
        return [json.loads(hook.body)["events"] for _, each, hook in self.posted if each == url]

    def events(self, url: str = HOOK) -> list[str]:
        """Name the channels of all events that were posted."""
        return [event["channel"] for body in self.bodies(url) for event in body]


class WebhooksTestCase(SynchronousTestCase):
    """The webhooks of one app, on a clock."""

    def setUp(self) -> None:
        """Have one endpoint, which wants Pusher's kinds and answers 200 at once."""
        self.begin(make_endpoint())
        self.post.answers[HOOK] = 200

    def begin(self, *endpoints: Endpoint, jitter: Callable[[], float] = lambda: 1.0) -> None:
        """Have these endpoints."""
        self.clock = Clock()
        self.clock.advance(START)
        self.post = Post(self.clock)
        self.app = make_app(webhooks=endpoints)
        self.tallies = Tallies()
        self.webhooks = Webhooks(self.clock, self.post, jitter, self.tallies)
        self.webhooks.startService()

    def tell(self, name: str, channel: str = "news", **members: Any) -> None:
        """Tell of an occurrence."""
        self.webhooks.tell(self.app, Occurrence(name=name, channel=channel, **members))

    def tell_many(self, count: int) -> None:
        """Tell of so many occupied channels, named by numbers."""
        for number in range(count):
            self.tell("channel_occupied", str(number))

    def lines(self, happen: Callable[[], object]) -> list[str]:
        """Let something happen; give the warnings that the log has of it."""
        with capturedLogs() as logs:
            happen()
        return [
            event["log_format"].format(**event)
            for event in logs
            if event["log_level"] is LogLevel.warn and event["log_namespace"].startswith("slanger")
        ]


class Counting(WebhooksTestCase):
    """What is counted of webhooks, for metrics and health."""

    def test_outcomes(self) -> None:
        """Metrics: events are queued, then sent or dropped; requests succeed or fail; what waits is told, by app."""
        self.patch(room, "QUEUE", 5)
        self.post.answers[HOOK] = 500
        self.tell_many(6)
        self.assertEqual(self.webhooks.waiting(), {KEY: 5})
        self.assertEqual(dict(self.tallies.webhook_events), {(KEY, "queued"): 5, (KEY, "dropped"): 1})
        self.clock.advance(0)
        self.assertGreater(self.tallies.webhook_requests[KEY, "failed"], 0)
        self.post.answers[HOOK] = 200
        self.clock.pump([1] * 10)
        self.assertEqual(self.webhooks.waiting(), {KEY: 0})
        self.assertEqual(dict(self.tallies.webhook_events), {(KEY, "queued"): 5, (KEY, "dropped"): 1, (KEY, "sent"): 5})
        self.assertEqual(self.tallies.webhook_requests[KEY, "ok"], 5)

    def test_nearly_full(self) -> None:
        """Health: a queue that is nearly full is known, and one that has emptied again is not."""
        self.patch(room, "QUEUE", 10)
        del self.post.answers[HOOK]
        self.tell_many(7)
        self.assertFalse(self.webhooks.nearly_full())
        self.tell_many(1)
        self.assertTrue(self.webhooks.nearly_full())
        self.webhooks.stopService()


class Kinds(WebhooksTestCase):
    """Webhooks, event types: who is told of what."""

    def test_interface(self) -> None:
        """It provides `IWebhooks`."""
        self.assertTrue(verifyObject(IWebhooks, self.webhooks))

    def test_each_kind(self) -> None:
        """Event types: each kind reaches the endpoints that want it, and no other."""
        endpoints = [make_endpoint(kind, url=f"http://127.0.0.1/{kind}") for kind in KINDS]
        self.begin(*endpoints)
        for kind in KINDS:
            self.tell(kind, "" if kind in OWN_KINDS else f"channel-of-{kind}")
        self.clock.advance(3)
        for endpoint, kind in zip(endpoints, KINDS, strict=True):
            self.assertEqual([[each["name"] for each in body] for body in self.post.bodies(endpoint.url)], [[kind]])

    def test_own_kinds(self) -> None:
        """Our own kinds are off by default."""
        for kind in OWN_KINDS:
            self.tell(kind, "")
        self.assertEqual(self.post.posted, [])

    def test_filter(self) -> None:
        """Event types: an endpoint hears of the channels that it asks for."""
        self.begin(make_endpoint(channels=("presence-*",)), make_endpoint(url=OTHER))
        self.post.answers.update({HOOK: 200, OTHER: 200})
        for channel in ("news", "presence-a"):
            self.tell("channel_occupied", channel)
        self.assertEqual((self.post.events(), self.post.events(OTHER)), (["presence-a"], ["news", "presence-a"]))

    def test_inboxes(self) -> None:
        """Inbox channel: no endpoint ever hears of one."""
        for kind in KINDS:
            self.tell(kind, "#server-to-user-7")
        self.clock.advance(3)
        self.assertEqual((self.post.posted, self.clock.getDelayedCalls()), ([], []))

    def test_no_endpoints(self) -> None:
        """An app without endpoints costs nothing: no request, and nothing that waits."""
        self.begin()
        for kind in KINDS:
            self.tell(kind)
        self.assertEqual((self.post.posted, self.clock.getDelayedCalls(), self.webhooks._lanes), ([], [], {}))

    def test_apps(self) -> None:
        """Apps are told with their own key, though they share an endpoint, and of nothing but their own."""
        other = make_app("another-key", webhooks=self.app.webhooks)
        self.webhooks.tell(other, Occurrence(name="channel_occupied", channel="news"))
        self.tell("channel_vacated")
        self.assertEqual(
            [(dict(hook.headers)["X-Pusher-Key"], json.loads(hook.body)["events"]) for *_, hook in self.post.posted],
            [
                ("another-key", [{"name": "channel_occupied", "channel": "news"}]),
                (self.app.key, [{"name": "channel_vacated", "channel": "news"}]),
            ],
        )


class Delivery(WebhooksTestCase):
    """Webhooks, delivery: one request at a time."""

    def test_one_event_per_request(self) -> None:
        """Delivery: by default one event per request, in order, the next once the one before is answered."""
        del self.post.answers[HOOK]
        for number in range(3):
            self.tell("channel_occupied", str(number))
        self.assertEqual(self.post.events(), ["0"])
        self.post.answer()
        self.assertEqual(self.post.events(), ["0", "1"])
        self.post.answer()
        self.post.answer()
        self.assertEqual([len(body) for body in self.post.bodies()], [1, 1, 1])

    def test_batch(self) -> None:
        """Delivery: where it is asked for, one request carries what came in a while; the next what came after."""
        self.begin(make_endpoint(batch=True))
        self.post.answers[HOOK] = 200
        for number in range(3):
            self.tell("channel_occupied", str(number))
        self.assertEqual(self.post.posted, [])
        self.clock.advance(room.BATCH_DELAY)
        self.tell("channel_occupied", "3")
        self.clock.advance(room.BATCH_DELAY)
        self.assertEqual([[each["channel"] for each in body] for body in self.post.bodies()], [["0", "1", "2"], ["3"]])

    def test_large_batch(self) -> None:
        """Delivery: a batch is bounded, and nothing is left behind."""
        self.begin(make_endpoint(batch=True))
        self.post.answers[HOOK] = 200
        for number in range(250):
            self.tell("channel_occupied", str(number))
        self.clock.advance(room.BATCH_DELAY)
        self.assertEqual([len(body) for body in self.post.bodies()], [100, 100, 50])
        self.assertEqual(self.post.events(), [str(number) for number in range(250)])

    def test_batch_while_busy(self) -> None:
        """Delivery: what comes while a batch waits for its answer goes with the next."""
        self.begin(make_endpoint(batch=True))
        self.tell("channel_occupied", "0")
        self.clock.advance(room.BATCH_DELAY)
        self.tell("channel_occupied", "1")
        self.clock.advance(room.BATCH_DELAY)
        self.tell("channel_occupied", "2")
        self.post.answer()
        self.clock.advance(room.BATCH_DELAY)
        if len(self.post.posted) == 2:
            self.post.answer()
        self.assertEqual(self.post.events(), ["0", "1", "2"])

    def test_slow_endpoint(self) -> None:
        """Delivery: an endpoint that never answers delays no other, nor the one who tells."""
        self.begin(make_endpoint(), make_endpoint(url=OTHER))
        self.post.answers[OTHER] = 200
        for number in range(5):
            self.tell("channel_occupied", str(number))
        self.assertEqual((self.post.events(), self.post.times(OTHER)), (["0"], [0.0] * 5))

    def test_success(self) -> None:
        """Delivery: any 2xx is success, and nothing is sent twice."""
        for number, status in enumerate((200, 201, 204, 299)):
            self.post.answers[HOOK] = status
            self.tell("channel_occupied", str(number))
        self.clock.pump([1.0] * 400)
        self.assertEqual(len(self.post.posted), 4)

    def test_never_fails(self) -> None:
        """Telling never fails, though the client under it does at once; the event is tried again."""
        calls: list[float] = []

        def broken(_url: str, _hook: Hook) -> Deferred[int]:
            calls.append(self.clock.seconds())
            raise ValueError("no such URL")

        self.webhooks = Webhooks(self.clock, broken, lambda: 1.0)
        self.webhooks.startService()
        self.tell("channel_occupied")
        self.clock.advance(1)
        self.assertEqual(len(calls), 2)


class Retries(WebhooksTestCase):
    """Webhooks, delivery: what fails is tried again."""

    def test_each_failure(self) -> None:
        """Delivery: anything but 2xx is tried again: redirects, faults of either side, and no answer at all."""
        for answer in (100, 301, 302, 307, 400, 401, 404, 410, 429, 500, 503, TimeoutError(), OSError("refused")):
            self.begin(make_endpoint())
            self.post.answers[HOOK] = answer
            self.tell("channel_occupied")
            self.post.answers[HOOK] = 200
            self.clock.pump([1.0] * 400)
            self.assertEqual(len(self.post.posted), 2, answer)

    def test_unchanged(self) -> None:
        """Delivery: a retry is the same request to the byte: time_ms, body and signature; it grows no younger."""
        self.post.answers[HOOK] = 500
        self.tell("channel_occupied")
        self.clock.pump([1.0] * 400)
        hooks = [hook for *_, hook in self.post.posted]
        self.assertGreater(len(hooks), 5)
        self.assertEqual(len({(hook.time_ms, hook.body, hook.headers) for hook in hooks}), 1)
        self.assertEqual(hooks[0].time_ms, int(START * 1000))

    def test_growing_delays(self) -> None:
        """Delivery: 1, 2, 4 and so on seconds up to 60, and an end before 300 seconds have passed."""
        self.post.answers[HOOK] = 500
        self.tell("channel_occupied")
        self.clock.pump([0.5] * 1200)
        times = self.post.times()
        self.assertEqual(times[:8], [0, 1, 3, 7, 15, 31, 63, 123])
        self.assertTrue(200 < times[-1] < 300, times)
        self.assertTrue(all(later - sooner <= 60 for sooner, later in pairwise(times)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_jitter(self) -> None:
        """Delivery: chance spreads retries, and never beyond the bounds."""
        firsts = set()
        for chance in (0.0, 0.3, 0.6, 0.99):
            self.begin(make_endpoint(), jitter=lambda chance=chance: chance)  # type: ignore[misc]
            self.post.answers[HOOK] = 500
            self.tell("channel_occupied")
            self.clock.pump([0.05] * 7000)
            times = self.post.times()
            firsts.add(times[1])
            self.assertTrue(0.5 <= times[1] <= 1.05, times)
            self.assertTrue(times[-1] < 300, times)
        self.assertEqual(len(firsts), 4)

    def test_fourth_try(self) -> None:
        """Delivery: an endpoint that fails three times gets the hook on the fourth try, and then no more."""
        self.post.answers[HOOK] = 500
        self.tell("channel_occupied")
        self.clock.pump([1.0] * 3)
        self.post.answers[HOOK] = 200
        self.clock.pump([1.0] * 400)
        self.assertEqual(self.post.times(), [0, 1, 3, 7])

    def test_order(self) -> None:
        """Delivery: what fails waits beside the queue and comes later; what was behind it is not held up."""
        self.post.answers[HOOK] = 500
        self.tell("channel_occupied", "first")
        self.post.answers[HOOK] = 200
        self.tell("channel_occupied", "second")
        self.clock.advance(1)
        self.assertEqual(self.post.events(), ["first", "second", "first"])

    def test_too_old(self) -> None:
        """Delivery: where answers take long nothing is sent whose time is 300 seconds past: SDKs would refuse it."""
        del self.post.answers[HOOK]
        for number in range(60):
            self.tell("channel_occupied", str(number))
        for _ in range(120):
            self.clock.pump([1.0] * 10)
            if self.post.waiting[HOOK]:
                self.post.answer(TimeoutError())
        ages = [START + when - hook.time_ms / 1000 for when, _, hook in self.post.posted]
        self.assertLess(max(ages), 300)
        self.assertGreater(len(set(self.post.events())), 1)
        self.patch(room, "QUEUE_BYTES", 1)
        self.assertEqual((self.webhooks.unsent, self.webhooks.nearly_full()), (0, False))

    def test_batch(self) -> None:
        """Delivery: a batch is tried again as a whole."""
        self.begin(make_endpoint(batch=True))
        self.post.answers[HOOK] = 500
        for number in range(2):
            self.tell("channel_occupied", str(number))
        self.clock.advance(room.BATCH_DELAY)
        self.post.answers[HOOK] = 200
        self.clock.advance(1)
        self.assertEqual(self.post.events(), ["0", "1", "0", "1"])

    def test_nothing_left(self) -> None:
        """Bounded: what was delivered or given up takes no place in the queue."""
        self.patch(room, "QUEUE", 3)
        for answer in (200, 500, 200):
            self.post.answers[HOOK] = answer
            for number in range(3):
                self.tell("channel_occupied", str(number))
            self.clock.pump([1.0] * 400)
        self.assertEqual(len(set(self.post.times())) > 3, True)
        self.assertEqual(self.post.events()[-3:], ["0", "1", "2"])


class NeverSilent(WebhooksTestCase):
    """Never silent: what is dropped is said."""

    def test_queue_is_bounded(self) -> None:
        """Bounded: what finds the queue full is dropped, and the log says so once, with the endpoint and the count."""
        self.patch(room, "QUEUE", 5)
        del self.post.answers[HOOK]
        lines = self.lines(lambda: self.tell_many(20))
        self.assertEqual(lines, ["webhook events for http://127.0.0.1/hook are dropped, 1 so far: its queue is full"])
        self.clock.advance(61)
        lines = self.lines(lambda: self.tell("channel_occupied", "more"))
        self.assertEqual(lines, ["webhook events for http://127.0.0.1/hook are dropped, 16 so far: its queue is full"])
        for _ in range(5):
            self.post.answer()
        self.assertEqual(self.post.events(), ["0", "1", "2", "3", "4"])
        self.tell("channel_occupied", "room again")
        self.assertEqual(self.post.events()[-1], "room again")

    def test_queue_counts_what_waits(self) -> None:
        """Bounded: events that wait for another try count, so a dead endpoint costs no more than a slow one."""
        self.patch(room, "QUEUE", 5)
        self.post.answers[HOOK] = 500
        for number in range(20):
            self.tell("channel_occupied", str(number))
        self.assertEqual(self.post.events(), ["0", "1", "2", "3", "4"])

    def test_bytes_are_bounded(self) -> None:
        """Bounded: of events that clients fill with data fewer wait, be it for another try; what leaves makes room."""
        self.patch(room, "QUEUE_BYTES", 1000)
        for answer in (None, 500):
            self.begin(make_endpoint())
            if answer is not None:
                self.post.answers[HOOK] = answer
            full = False
            for number in range(20):
                full = full or self.webhooks.nearly_full()
                self.tell("client_event", str(number), data="\0" * 30)
            self.assertTrue(full)
            self.assertEqual(self.webhooks.unsent, 4)
            self.post.answers[HOOK] = 200
            if answer is None:
                self.post.answer()
            self.clock.advance(10)
            self.assertEqual(self.post.events()[-4:], ["0", "1", "2", "3"])
            self.assertFalse(self.webhooks.nearly_full())
            for number in range(20):
                self.tell("client_event", str(number), data="\0" * 30)
            self.assertEqual(self.post.events()[-1], "19")

    def test_full_endpoint_harms_no_other(self) -> None:
        """Bounded: each endpoint has a queue of its own."""
        self.patch(room, "QUEUE", 5)
        self.begin(make_endpoint(), make_endpoint(url=OTHER))
        self.post.answers[OTHER] = 200
        for number in range(20):
            self.tell("channel_occupied", str(number))
        self.assertEqual(len(self.post.events(OTHER)), 20)

    def test_failing(self) -> None:
        """A failing endpoint is named in the log at once, with the reason, and not at each attempt."""
        self.post.answers[HOOK] = 503
        lines = self.lines(lambda: self.tell("channel_occupied"))
        self.assertEqual(lines, ["webhooks for http://127.0.0.1/hook fail, and are tried again: HTTP 503"])
        self.assertEqual(self.lines(lambda: self.clock.pump([1.0] * 50)), [])

    def test_failing_without_an_answer(self) -> None:
        """The log says why there was no answer, also where the fault has no words of its own."""
        for fault, why in ((OSError("no route"), "no route"), (TimeoutError(), "TimeoutError")):
            self.begin(make_endpoint())
            self.post.answers[HOOK] = fault
            [line] = self.lines(lambda: self.tell("channel_occupied"))
            self.assertIn(why, line)

    def test_given_up(self) -> None:
        """What is given up is said, whatever was said of the endpoint shortly before."""
        for chance in (0.0, 0.25, 0.5, 0.75, 1.0):
            self.begin(make_endpoint(), jitter=lambda chance=chance: chance)  # type: ignore[misc]
            self.post.answers[HOOK] = 500
            self.tell("channel_occupied")
            lines = self.lines(lambda: self.clock.pump([0.5] * 1200))
            self.assertTrue(
                [line for line in lines if "dropped, 1 so far: it kept failing, last with: HTTP 500" in line], lines
            )

    def test_no_secret(self) -> None:
        """The log shows neither credentials nor a query of an endpoint's URL."""
        self.begin(make_endpoint(url="http://user:pass@127.0.0.1:8000/hook?token=secret"))
        self.post.answers["http://user:pass@127.0.0.1:8000/hook?token=secret"] = 500
        [line] = self.lines(lambda: self.tell("channel_occupied"))
        for word in ("pass", "secret", "token"):
            self.assertNotIn(word, line)


class Stopping(WebhooksTestCase):
    """The server stops."""

    def test_unsent(self) -> None:
        """Never silent: what was left unsent is said, for each endpoint, and no call is left waiting."""
        self.begin(make_endpoint(), make_endpoint(url=OTHER, batch=True))
        self.post.answers[HOOK] = 500
        for number in range(3):
            self.tell("channel_occupied", str(number))
        lines = self.lines(self.webhooks.stopService)
        self.assertEqual(
            lines,
            [f"webhook events for {url} that were not sent: 3" for url in (HOOK, OTHER)],
        )
        posted = len(self.post.posted)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(len(self.post.posted), posted)

    def test_nothing_unsent(self) -> None:
        """Where all was sent nothing is said."""
        self.tell("channel_occupied")
        self.assertEqual(self.lines(self.webhooks.stopService), [])

    def test_answer_after(self) -> None:
        """An answer that comes after the end starts nothing, good or bad."""
        for answer in (200, 500, OSError("refused")):
            self.begin(make_endpoint())
            for number in range(2):
                self.tell("channel_occupied", str(number))
            self.webhooks.stopService()
            self.post.answer(answer)
            self.assertEqual((self.post.events(), self.clock.getDelayedCalls()), (["0"], []))

    def test_told_after(self) -> None:
        """What happens after the end starts nothing: clients go once everything has stopped."""
        for endpoint in (make_endpoint(*KINDS), make_endpoint(*KINDS, batch=True)):
            self.begin(endpoint)
            self.tell("channel_occupied")
            self.webhooks.stopService()
            posted = len(self.post.posted)
            for kind in KINDS:
                self.tell(kind)
            self.assertEqual((len(self.post.posted), self.clock.getDelayedCalls()), (posted, []))


class WholeNode(SynchronousTestCase):
    """Webhooks, from a client to the request."""

    def setUp(self) -> None:
        """Start a node in memory that posts to one endpoint, which takes everything."""
        self.clock = Clock()
        self.clock.advance(START)
        self.post = Post(self.clock)
        self.post.answers[HOOK] = 200
        self.app = make_app(webhooks=(make_endpoint(),), subscription_counts=True)
        webhooks = Webhooks(self.clock, self.post, lambda: 1.0)
        webhooks.startService()
        self.node = MemoryNode(self.app, webhooks=webhooks, clock=self.clock)

    def names(self) -> list[str]:
        """Name the events that were posted since the last look."""
        names = [event["name"] for body in self.post.bodies() for event in body]
        self.post.posted.clear()
        return names

    def test_presence(self) -> None:
        """Event types: a user who comes and goes makes a channel occupied and vacated, and is told himself."""
        client = Client(self.node)
        client.subscribe("presence-a", "7")
        self.assertCountEqual(self.names(), ["channel_occupied", "member_added"])
        client.go()
        self.assertEqual(self.names(), [])
        self.clock.advance(3)
        self.assertCountEqual(self.names(), ["channel_vacated", "member_removed"])

    def test_returning_member(self) -> None:
        """Delays: a member who is back within three seconds causes no webhook."""
        client = Client(self.node)
        client.subscribe("presence-a", "7")
        self.names()
        client.go()
        self.clock.advance(2)
        Client(self.node).subscribe("presence-a", "7")
        self.clock.advance(10)
        self.assertEqual(self.names(), [])

    def test_other_kinds(self) -> None:
        """Event types: client events, misses and counts."""
        client = Client(self.node)
        client.subscribe("private-cache-a")
        client.receive(b'{"event":"client-a","channel":"private-cache-a","data":{}}')
        self.assertCountEqual(self.names(), ["channel_occupied", "cache_miss", "subscription_count", "client_event"])

    def test_inbox(self) -> None:
        """Inbox channel: signing in, joining an inbox and going tells the app nothing."""
        client = Client(self.node)
        client.sign_in("7", "8")
        client.subscribe("#server-to-user-7")
        client.go()
        self.clock.advance(10)
        self.assertEqual(self.names(), [])

    def test_failing_post(self) -> None:
        """One slow or dead endpoint delays no event of the app."""
        self.patch(self.post, "answers", {HOOK: 500})
        one, two = Client(self.node), Client(self.node)
        one.subscribe("news")
        two.subscribe("news")
        one.heard()
        self.node.registry.publish(self.app, "news", "e", "{}", None)
        self.assertEqual(one.events(), ["e"])


class Reloading(WebhooksTestCase):
    """Reload: apps with other endpoints."""

    def swap(self, *endpoints: Endpoint) -> None:
        """Give the app other endpoints."""
        self.apps.swap([make_app(webhooks=endpoints)])
        self.webhooks.tidy(self.apps)

    def begin(self, *endpoints: Endpoint, jitter: Callable[[], float] = lambda: 1.0) -> None:
        """Have a directory of apps too."""
        super().begin(*endpoints, jitter=jitter)
        self.apps = Apps([self.app])

    def test_gone(self) -> None:
        """Reload: an endpoint that the app names no more gets nothing; what waited for it is given up, and told."""
        del self.post.answers[HOOK]
        self.tell_many(3)
        lines = self.lines(lambda: self.swap(make_endpoint(url=OTHER)))
        self.assertEqual(lines, [f"webhook events for {HOOK} that were not sent: 3"])
        self.post.answer(500)
        self.tell("channel_occupied", "last")
        self.clock.pump([60.0] * 10)
        self.assertEqual((self.post.events(), self.post.events(OTHER)), (["0"], ["last"]))

    def test_changed(self) -> None:
        """Reload: what waits for an endpoint that is only changed is sent as it is to be sent by now, in order."""
        del self.post.answers[HOOK]
        self.tell_many(3)
        other = make_endpoint(headers=(("X-Team", "chat"),), url=HOOK)
        self.assertEqual(self.lines(lambda: self.swap(make_endpoint(url=OTHER), other)), [])
        self.post.answers[HOOK] = 200
        self.post.answer()
        self.tell("channel_occupied", "last")
        self.assertEqual(self.post.events(), ["0", "1", "2", "last"])
        headers = [dict(hook.headers).get("X-Team") for _, url, hook in self.post.posted if url == HOOK]
        self.assertEqual(headers, [None, "chat", "chat", "chat"])

    def test_same(self) -> None:
        """Reload: an endpoint that stays is not disturbed."""
        del self.post.answers[HOOK]
        self.tell_many(2)
        self.swap(make_endpoint(), make_endpoint(url=OTHER))
        self.post.answer()
        self.assertEqual(self.post.events(), ["0", "1"])

    def test_removed_app(self) -> None:
        """Reload: an app that is removed is told nothing more, not even that its clients are gone."""
        del self.post.answers[HOOK]
        self.tell_many(1)
        self.apps.swap([])
        self.webhooks.tidy(self.apps)
        self.tell("channel_vacated", "0")
        self.clock.pump([60.0] * 10)
        self.assertEqual(self.post.events(), ["0"])

    def test_secret(self) -> None:
        """Reload: hooks are signed with the new secret."""
        self.apps.swap([replace(self.app, secret="other")])
        self.tell("channel_occupied")
        ((_, _, hook),) = self.post.posted
        signature = dict(hook.headers)["X-Pusher-Signature"]
        self.assertEqual(signature, signing.sign("other", hook.body.decode()))
