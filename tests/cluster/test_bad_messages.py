"""What no node can have sent, on the bus and in the log: it is counted, logged once and dropped."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import BAD_MESSAGE
from tests.sdk.case import ADDED, REMOVED, fresh
from tests.server import wait_for

HUGE = 8 * 1024 * 1024
FEW_LINES = 5
"""Lines about bad messages that a node may write in the time of a test."""

GARBAGE = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"not JSON",
    b"null",
    b"17",
    b'"text"',
    b"[]",
    b"{}",
    b"[[],[],[]]",
    b"[" * 100_000,
    b'{"event":"price-changed","channel":"news","data":"{}"}',
    b'{"event":"App\\\\Events\\\\Shipped","data":{},"socket":null}',
    b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07slanger\x94.",
    b"x" * HUGE,
]
"""Not JSON; JSON of the wrong shape; what other software says; pickle; too much."""

WRONG: tuple[Any, ...] = (None, True, [], {}, "nonsense", -1.5)
"""Values of the wrong type, whatever is expected; of those, the ones that are of another type than the right one."""


class BadMessages(ClusterTestCase):
    """Two nodes, and somebody who writes into their Redis."""

    def setUp(self) -> None:
        """Start the nodes, with a client on each."""
        super().setUp()
        self.cluster = self.start_cluster(2)
        self.one, self.other = self.nodes = self.cluster.nodes
        self.admin = self.cluster.redis.admin
        self.room = fresh("presence-room")
        self.ann, self.bob = self.clients = self.on_each(self.nodes, ("ann", "bob"))
        for client in self.clients:
            client.subscribe(self.room)
        self.ann.expect(ADDED, self.room)
        for node, client in ((self.other, self.ann), (self.one, self.bob)):
            self.wait_until_heard(node, self.room, partial(client.seen, channel=self.room))
        self.settle_all()
        self.driver.forget()

    def test_on_the_bus(self) -> None:
        """Bad messages: whatever stands on the topics that nodes hear, no client hears it; true ones come as before."""
        topics = self.admin.pubsub_channels("slanger:*")
        self.assertGreater(len(topics), 0)
        for topic in topics:
            for garbage in GARBAGE:
                self.admin.publish(topic, garbage)
        for topic, text in self.true_messages():
            for wrong in spoilt(json.loads(text)):
                self.admin.publish(topic, json.dumps(wrong))
            self.admin.publish(topic, text)  # once more: it was seen
            self.admin.publish(topic, text[:-1])
        self.assert_undisturbed()
        for node in self.nodes:
            self.assertIn(BAD_MESSAGE, node.log)
            self.assertLessEqual(node.log.count(BAD_MESSAGE), FEW_LINES)

    def test_in_the_log(self) -> None:
        """Bad messages: a node that catches up passes over what is wrong in the log, and gets what is right."""
        (log,) = list(self.admin.scan_iter(_type="stream"))
        entries: Any = self.admin.xrevrange(log, count=1)
        true_fields = entries[0][1]
        proxy = self.cluster.proxies[1]
        proxy.refuse()
        self.other.wait_until_cut_off()
        self.trigger(self.one, self.room, "before", 1)
        self.admin.xadd(log, {"foreign": "entry"})
        for garbage in GARBAGE:
            self.admin.xadd(log, dict.fromkeys(true_fields, garbage))
            for name in true_fields:
                self.admin.xadd(log, true_fields | {name: garbage})
        self.trigger(self.one, self.room, "after", 2)
        proxy.go_on()
        self.other.wait_until_joined()
        for client in self.clients:
            client.expect("before", self.room)
            client.expect("after", self.room)
        self.assert_undisturbed()
        self.assertIn(BAD_MESSAGE, self.other.log)
        self.assertLessEqual(self.other.log.count(BAD_MESSAGE), FEW_LINES)

    def true_messages(self) -> list[tuple[bytes, bytes]]:
        """Listen in on an event, a user who comes and one who goes; the clients claim them."""
        with self.admin.pubsub(ignore_subscribe_messages=True) as spy:
            spy.psubscribe("slanger:*:to:*")
            spy.get_message(timeout=1)
            self.trigger(self.one, self.room, "true", 1)
            guest = self.connected("guest", node=self.one)
            guest.subscribe(self.room)
            guest.disconnect()
            for client in self.clients:
                for event in ("true", ADDED, REMOVED):
                    client.expect(event, self.room)
            heard: list[tuple[bytes, bytes]] = []

            def has_heard_all() -> bool:
                message = spy.get_message(timeout=0.01)
                if message is not None:
                    heard.append((message["channel"], message["data"]))
                return len(heard) == 3

            wait_for("three messages on the bus", has_heard_all)
        return heard

    def assert_undisturbed(self) -> None:
        """Check that clients heard nothing odd, and that events and rosters still cross, once each."""
        for number, node in enumerate(self.nodes):
            self.trigger(node, self.room, "check", number)
            for client in self.clients:
                client.expect("check", self.room, where=lambda data, number=number: data == number)
        self.settle_all()
        self.assertEqual([client.heard(self.room) for client in self.clients], [[], []])
        for client in self.clients:
            self.assertEqual(sorted(client.members(self.room)["info"]), ["ann", "bob"])
        self.assert_users(self.nodes, self.room, ["ann", "bob"])
        self.assertEqual([node.runs and node.has_joined for node in self.nodes], [True, True])

    def settle_all(self) -> None:
        """Wait until all that is under way has come: through the bus, both ways, and to the clients."""
        for node in self.nodes:
            name = fresh("client-marker")
            self.trigger(node, self.room, name)
            for client in self.clients:
                client.expect(name, self.room)
        for client in self.clients:
            client.settle()


def spoilt(true: Any) -> Iterator[Any]:
    """Give copies of a message, each with something of a wrong type, or missing, or too much."""
    for path in list(_paths(true)):
        right = _at(true, path)
        for wrong in WRONG:
            if type(wrong) is not type(right) and not (isinstance(right, int) and wrong is True):
                yield _changed(true, path, wrong)
    if isinstance(true, list):
        yield true[:-1]
        yield [*true, None]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the ways to all parts of an envelope; the finished text of an event is a part of its own."""
    yield path
    if len(path) < 2:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield from _paths(value[key], (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _changed(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    if not path:
        return wrong
    changed = copy.deepcopy(value)
    _at(changed, path[:-1])[path[-1]] = wrong
    return changed
