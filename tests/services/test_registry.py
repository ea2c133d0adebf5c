"""The channel registry, with a broker without peers and with one that takes its time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slanger.brokers.alone import Alone
from slanger.domain.apps import App
from slanger.domain.cache import EventCache
from slanger.domain.channels import Counts
from slanger.interfaces import IBroker, INode, IRegistry
from slanger.protocol import codec
from slanger.protocol.messages import Member, Message
from tests.builders import Json, Listener, MemoryNode, SlowBroker, make_app, make_member

ROOM = "presence-room"
ADDED = "pusher_internal:member_added"
REMOVED = "pusher_internal:member_removed"
ANN, BO = make_member("1", '{"name":"Ann"}'), make_member("2")


class RegistryTestCase(SynchronousTestCase):
    """A registry with three subscribers who are on nothing yet."""

    def setUp(self) -> None:
        """Start it with a broker without peers."""
        self.begin()

    def begin(self, broker: Callable[[IReactorTime, EventCache], Alone] = Alone, **changes: Any) -> None:
        """Start it with a broker, and an app changed as named."""
        self.app = make_app(**changes)
        self.node = MemoryNode(self.app, broker=broker)
        self.broker, self.registry = self.node.broker, self.node.registry
        self.one, self.two, self.three = (Listener(self.app, f"{number}.1") for number in (1, 2, 3))

    def publish(self, channel: str, data: str, exclude: str | None = None) -> None:
        """Publish an event named `e`."""
        self.registry.publish(self.app, channel, "e", data, exclude)

    def presence(self, listener: Listener) -> Json:
        """Give the presence object of a listener's last success."""
        data = [data for what, _, data in listener.story if what == "joined"][-1]
        presence: Json = json.loads(data)["presence"]
        return presence

    def assert_nothing_left(self) -> None:
        """Check that no table holds anything."""
        self.assertEqual(list(self.registry.channels(self.app)), [])
        self.assertEqual(self.registry._joining, {})
        self.assertEqual(self.broker._rosters, {})


class Publishing(RegistryTestCase):
    """Fan-out: who gets what."""

    def test_interfaces(self) -> None:
        """The registry keeps both its seams."""
        self.assertTrue(verifyObject(IRegistry, self.registry))
        self.assertTrue(verifyObject(INode, self.node.node))

    def test_exactly_while_on(self) -> None:
        """Fan-out: a subscriber gets exactly the events after its success and before its leave, in order."""
        self.publish("news", "before")
        self.registry.join(self.one, "news", None)
        self.publish("news", "first")
        self.publish("other", "elsewhere")
        self.publish("news", "second")
        self.registry.leave(self.one, "news", None)
        self.publish("news", "after")
        self.assertEqual(self.one.story, [("joined", "news", "{}"), ("heard", "e", "first"), ("heard", "e", "second")])

    def test_everybody(self) -> None:
        """Fan-out: each subscriber gets one and the same message, encoded once."""
        for listener in (self.one, self.two):
            self.registry.join(listener, "news", None)
        self.publish("news", "{}")
        self.assertEqual(len(self.one.messages), 1)
        self.assertIs(self.one.messages[0], self.two.messages[0])
        self.assertEqual(self.three.story, [])
        self.assertEqual(self.one.messages[0].text, b'{"event":"e","channel":"news","data":"{}"}')

    def test_exclusion(self) -> None:
        """Trigger: the excluded socket gets nothing, all others do; an unknown one is ignored."""
        for listener in (self.one, self.two):
            self.registry.join(listener, "news", None)
        self.publish("news", "a", exclude="1.1")
        self.publish("news", "b", exclude="9.9")
        self.publish("news", "c", exclude="3.1")
        self.assertEqual([data for _, data in self.one.heard], ["b", "c"])
        self.assertEqual([data for _, data in self.two.heard], ["a", "b", "c"])

    def test_user_id(self) -> None:
        """Client events: the user's id goes with the event."""
        self.registry.join(self.one, ROOM, ANN)
        self.registry.join(self.two, ROOM, BO)
        self.registry.whisper(self.two, ROOM, "client-a", "{}", "2")
        self.assertEqual(
            self.one.messages[-1].text, b'{"event":"client-a","channel":"presence-room","data":"{}","user_id":"2"}'
        )
        self.assertEqual(self.two.heard, [])

    def test_from_another_node(self) -> None:
        """Many nodes: what another node publishes is delivered as it arrived, save to the excluded socket."""
        for listener in (self.one, self.two):
            self.registry.join(listener, "news", None)
        message = codec.event("news", "e", "{}")
        self.registry.deliver(self.app, "news", message, "1.1")
        self.registry.deliver(self.app, "nobody-here", message, None)
        self.assertEqual((self.one.messages, self.two.messages), ([], [message]))

    def test_apps(self) -> None:
        """Apps never see each other's channels, events, members or counts."""
        other = Listener(make_app("another-key"), "4.1")
        self.registry.join(other, ROOM, ANN)
        self.registry.join(self.one, ROOM, BO)
        self.publish(ROOM, "{}")
        self.assertEqual((self.presence(self.one)["ids"], self.presence(other)["ids"]), (["2"], ["1"]))
        self.assertEqual(other.heard, [])
        self.assertEqual(self.successResultOf(self.registry.users(self.app, ROOM)), ["2"])
        self.registry.leave(self.one, ROOM, BO)
        self.assertEqual(self.successResultOf(self.registry.occupied(self.app, "")), {})
        self.assertEqual(self.successResultOf(self.registry.occupied(other.app, "")), {ROOM: Counts(1, 1)})


class Presence(RegistryTestCase):
    """Presence: members come and go."""

    def test_others_are_told(self) -> None:
        """Presence: the others hear of a member, the joiner does not; he finds himself in the roster."""
        self.registry.join(self.one, ROOM, ANN)
        self.registry.join(self.two, ROOM, BO)
        self.assertEqual(self.one.heard, [(ADDED, '{"user_id":"2"}')])
        self.assertEqual([what for what, *_ in self.two.story], ["joined"])
        self.assertEqual(
            self.presence(self.two), {"count": 2, "ids": ["1", "2"], "hash": {"1": {"name": "Ann"}, "2": None}}
        )
        self.registry.leave(self.two, ROOM, BO)
        self.assertEqual(self.one.heard[1:], [(REMOVED, '{"user_id":"2"}')])
        self.assertEqual(self.two.heard, [])

    def test_two_connections(self) -> None:
        """Presence: others hear of a user's first and last connection alone; his second gets the whole roster."""
        self.registry.join(self.one, ROOM, ANN)
        self.registry.join(self.two, ROOM, BO)
        self.registry.join(self.three, ROOM, BO)
        self.assertEqual(self.presence(self.three)["ids"], ["1", "2"])
        self.registry.leave(self.two, ROOM, BO)
        self.assertEqual([event for event, _ in self.one.heard], [ADDED])
        self.registry.leave(self.three, ROOM, BO)
        self.assertEqual([event for event, _ in self.one.heard], [ADDED, REMOVED])

    def test_other_info(self) -> None:
        """Presence: the same user with other info is one member, and the first info stands."""
        self.registry.join(self.one, ROOM, ANN)
        self.registry.join(self.two, ROOM, make_member("1", '{"name":"Anna"}'))
        self.assertEqual(self.presence(self.two), {"count": 1, "ids": ["1"], "hash": {"1": {"name": "Ann"}}})
        self.assertEqual(self.one.heard, [])

    def test_limit(self) -> None:
        """Presence, limits: users count, not connections; one too many is refused and gets nothing."""
        self.begin(presence_members=1)
        self.registry.join(self.one, ROOM, ANN)
        self.registry.join(self.two, ROOM, ANN)
        self.registry.join(self.three, ROOM, BO)
        self.publish(ROOM, "{}")
        self.assertEqual(self.three.story, [("refused", ROOM, "LimitReached")])
        self.assertEqual([len(each.heard) for each in (self.one, self.two)], [1, 1])
        self.assertEqual(self.registry.subscriptions(self.app, ROOM), 2)


class Queries(RegistryTestCase):
    """REST API: queries."""

    def test_counts(self) -> None:
        """Queries: connections everywhere, users on presence channels; each asked channel is answered."""
        self.registry.join(self.one, "news", None)
        self.registry.join(self.two, ROOM, ANN)
        self.registry.join(self.three, ROOM, ANN)
        self.assertEqual(
            self.successResultOf(self.registry.counts(self.app, [ROOM, "news", "empty", "presence-empty"])),
            {ROOM: Counts(2, 1), "news": Counts(1), "empty": Counts(0), "presence-empty": Counts(0, 0)},
        )

    def test_occupied(self) -> None:
        """Queries: occupied channels by prefix."""
        self.registry.join(self.one, "news", None)
        self.registry.join(self.two, ROOM, ANN)
        self.registry.join(self.two, "left", None)
        self.registry.leave(self.two, "left", None)
        self.assertEqual(
            self.successResultOf(self.registry.occupied(self.app, "")), {"news": Counts(1), ROOM: Counts(1, 1)}
        )
        self.assertEqual(self.successResultOf(self.registry.occupied(self.app, "presence-")), {ROOM: Counts(1, 1)})

    def test_users(self) -> None:
        """Queries: each user once."""
        for listener, member in ((self.one, ANN), (self.two, ANN), (self.three, BO)):
            self.registry.join(listener, ROOM, member)
        self.assertEqual(self.successResultOf(self.registry.users(self.app, ROOM)), ["1", "2"])


class Leaving(RegistryTestCase):
    """Bounded: what is left is gone."""

    def test_nothing_left(self) -> None:
        """Bounded: channels and rosters that were left leave nothing behind."""
        for number in range(100):
            self.registry.join(self.one, f"news-{number}", None)
            self.registry.join(self.one, f"presence-{number}", ANN)
        for number in range(100):
            self.registry.leave(self.one, f"news-{number}", None)
            self.registry.leave(self.one, f"presence-{number}", ANN)
        self.assert_nothing_left()

    def test_never_on(self) -> None:
        """Repeated subscribe, unsubscribe: leaving what one is not on harms nobody."""
        self.registry.join(self.one, ROOM, ANN)
        self.registry.leave(self.two, ROOM, ANN)
        self.registry.leave(self.two, "news", None)
        self.assertEqual(self.one.heard, [])
        self.assertEqual(self.registry.subscriptions(self.app, ROOM), 1)

    def test_edges(self) -> None:
        """Interest only: the broker hears of the first subscriber and of the last, once each."""
        self.begin(EdgeBroker)
        broker = cast(EdgeBroker, self.broker)
        for listener in (self.one, self.two):
            self.registry.join(listener, "news", None)
        for listener in (self.one, self.two, self.three):
            self.registry.leave(listener, "news", None)
        self.registry.join(self.one, ROOM, ANN)
        self.assertEqual(broker.edges, ["open news", "close news", f"open {ROOM}"])


class JoiningTakesTime(RegistryTestCase):
    """Repeated subscribe, unsubscribe: a join under way when the client leaves must leave no ghost."""

    def setUp(self) -> None:
        """Start with a broker that answers when told."""
        self.begin_slowly()

    def begin_slowly(self, **changes: Any) -> None:
        """Start it with such a broker, and an app changed as named."""
        self.begin(SlowBroker, **changes)
        self.slow = cast(SlowBroker, self.broker)

    def test_events_before(self) -> None:
        """Fan-out: nothing is delivered before the success."""
        self.registry.join(self.one, ROOM, ANN)
        self.publish(ROOM, "before")
        self.assertEqual(self.one.story, [])
        self.slow.answer()
        self.publish(ROOM, "after")
        self.assertEqual([what for what, *_ in self.one.story], ["joined", "heard"])
        self.assertEqual(self.one.heard, [("e", "after")])

    def test_leave_before_the_answer(self) -> None:
        """One who leaves before the answer hears nothing, is on nothing, and others see him come and go at most."""
        self.registry.join(self.two, ROOM, BO)
        self.slow.answer()
        self.registry.join(self.one, ROOM, ANN)
        self.registry.leave(self.one, ROOM, ANN)
        self.slow.answer()
        self.publish(ROOM, "{}")
        self.assertEqual(self.one.story, [])
        self.assertIn([event for event, _ in self.two.heard], (["e"], [ADDED, REMOVED, "e"]))
        self.assertEqual(self.registry.subscriptions(self.app, ROOM), 1)
        self.registry.leave(self.two, ROOM, BO)
        self.slow.answer()
        self.assert_nothing_left()

    def test_join_again_before_the_answer(self) -> None:
        """One who leaves and asks again before the answer joins once."""
        for _ in range(2):
            self.registry.join(self.one, ROOM, ANN)
            self.registry.leave(self.one, ROOM, ANN)
        self.registry.join(self.one, ROOM, ANN)
        self.slow.answer()
        self.assertEqual([what for what, *_ in self.one.story], ["joined"])
        self.assertEqual(self.presence(self.one)["ids"], ["1"])
        self.assertEqual(self.registry._joining, {})
        self.registry.leave(self.one, ROOM, ANN)
        self.slow.answer()
        self.assert_nothing_left()

    def test_refused_after_leaving(self) -> None:
        """One who has left is not told that there was no room."""
        self.begin_slowly(presence_members=1)
        self.registry.join(self.two, ROOM, BO)
        self.registry.join(self.one, ROOM, ANN)
        self.registry.leave(self.one, ROOM, ANN)
        self.slow.answer()
        self.assertEqual(self.one.story, [])

    def test_refused_later(self) -> None:
        """One who waits is told that there is no room."""
        self.begin_slowly(presence_members=1)
        for listener, member in ((self.two, BO), (self.one, ANN)):
            self.registry.join(listener, ROOM, member)
        self.slow.answer()
        self.assertEqual(self.one.story, [("refused", ROOM, "LimitReached")])
        self.assertEqual(self.registry._joining, {})

    def test_answer_that_waits(self) -> None:
        """It makes no difference what the broker's Deferred waits for inside: leaving ends the join."""
        self.begin(ChainingBroker)
        broker = cast(ChainingBroker, self.broker)
        self.registry.join(self.one, ROOM, ANN)
        self.registry.leave(self.one, ROOM, ANN)
        if not broker.inner.called:
            broker.inner.callback(codec.RosterText([ANN]).data())
        self.assertEqual(self.one.story, [])
        self.assertEqual(list(self.registry.channels(self.app)), [])


class BrokerFails(RegistryTestCase):
    """A broker that breaks its promise harms one subscription at most."""

    def test_fault(self) -> None:
        """A fault while joining is logged once, and the client is told in words that show nothing of it."""
        self.begin(lambda clock, cache: FailingBroker(clock, cache, RuntimeError("inside")))
        self.registry.join(self.one, ROOM, ANN)
        [refusal] = self.one.refusals
        self.assertEqual((refusal.kind, refusal.status), ("ServerError", 500))
        self.assertNotIn("inside", refusal.message)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assert_nothing_left()

    def test_broker_gives_up(self) -> None:
        """Never silent: a client that waits is answered, also when the broker gives up by itself."""
        self.begin(lambda clock, cache: FailingBroker(clock, cache, CancelledError()))
        self.registry.join(self.one, ROOM, ANN)
        self.flushLoggedErrors(CancelledError)
        self.assertEqual([what for what, *_ in self.one.story], ["refused"])


@implementer(IBroker)
class EdgeBroker(Alone):
    """A broker that keeps the edges it hears of."""

    def __init__(self, clock: IReactorTime, cache: EventCache) -> None:
        super().__init__(clock, cache)
        self.edges: list[str] = []

    def open(self, app: App, channel: str) -> None:
        """Keep a first."""
        self.edges.append(f"open {channel}")

    def close(self, app: App, channel: str) -> None:
        """Keep a last."""
        self.edges.append(f"close {channel}")


@implementer(IBroker)
class ChainingBroker(Alone):
    """A broker whose Deferred has fired, but waits for another inside."""

    def __init__(self, clock: IReactorTime, cache: EventCache) -> None:
        super().__init__(clock, cache)
        self.inner: Deferred[Raw] = Deferred()

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Answer when `inner` fires."""
        return succeed(None).addCallback(lambda _: self.inner)


@implementer(IBroker)
class FailingBroker(Alone):
    """A broker that lets nobody in."""

    def __init__(self, clock: IReactorTime, cache: EventCache, fault: Exception) -> None:
        super().__init__(clock, cache)
        self._fault = fault

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Fail."""
        return fail(self._fault)

    def publish(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Nobody else listens."""
