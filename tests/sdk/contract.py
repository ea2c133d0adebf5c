"""What each official server SDK can do with a server, whatever the language and whatever port it talks to.

It is imported as a module, so that test runners find its subclasses alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.sdk.case import INBOX, MISSED, SUBSCRIBED, ClientTestCase, fresh
from tests.sdk.sdks import Refused, Sdk


class SdkContract(ClientTestCase):
    """Run once for each SDK."""

    def setUp(self) -> None:
        """Make the SDK."""
        super().setUp()
        self.sdk = self.make_sdk()

    def make_sdk(self, **options: str) -> Sdk:
        """Give the SDK of these tests.

        :param options: a `key` or a `secret` other than the right one.
        """
        raise NotImplementedError

    def assert_refused(self, status: int, told: str, call: Callable[..., Any], *arguments: Any) -> None:
        """Check that a call is refused, in one line of text."""
        refused = self.assertRaises(Refused, call, *arguments)
        self.assertEqual(refused.status, status)
        self.assertIn(told, refused.told)
        self.assertTrue(refused.told.endswith("\n"))

    # Triggering

    def test_trigger(self) -> None:
        """Trigger: an event reaches a public, a private and a presence channel, and the answer is an object."""
        client = self.connected("1")
        for kind in ("news", "private-room", "presence-room"):
            channel = fresh(kind)
            client.subscribe(channel)
            self.assertEqual(self.sdk.trigger([channel], "price-changed", {"eur": 12.5}), {})
            self.assertEqual(client.expect("price-changed", channel).data, {"eur": 12.5})

    def test_trigger_many_channels(self) -> None:
        """Trigger: an event may go to a hundred channels at once."""
        first, second, last = self.connected(), self.connected(), self.connected()
        channels = [fresh("news") for _ in range(100)]
        for client, channel in zip((first, second, last), (channels[0], channels[50], channels[99]), strict=True):
            client.subscribe(channel)
        self.sdk.trigger(channels, "price-changed", {"eur": 12.5})
        for client in (first, second, last):
            client.expect("price-changed")

    def test_any_data(self) -> None:
        """Delivered event: data arrives as it was sent, be it text or an object, in any script."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        deep: Any = {"ключ": ["ä", None, {"deep": '\u2028 \U0001f642 \\ " </script>'}]}
        for data, read in (
            ("plain text", "plain text"),
            ("", ""),
            ('"quoted"', "quoted"),
            (deep, deep),
            ([], []),
            ({}, {}),
        ):
            self.sdk.trigger([channel], "price-changed", data)
            self.assertEqual(client.expect("price-changed", channel).data, read)

    def test_any_names(self) -> None:
        """Channel names: all characters that are allowed work in a name; an event's name may hold any."""
        client, channel = self.connected("1"), fresh("private-_-=@,.;Az09")
        client.subscribe(channel)
        for event in (r"App\Events\OrderShipped", "order.shipped", "übergröße", "a b"):
            self.sdk.trigger([channel], event, {})
            client.expect(event, channel)
        self.assertEqual(self.sdk.channel(channel)["occupied"], True)
        self.assertEqual(self.sdk.channels(channel), {"channels": {channel: {}}})

    def test_exclude_a_connection(self) -> None:
        """Excluding recipients: all get an event but the connection whose socket id is given."""
        excluded, other, channel = self.connected(), self.connected(), fresh("private-room")
        for client in (excluded, other):
            client.subscribe(channel)
        self.sdk.trigger([channel], "moved", {"to": 1}, excluded.socket_id)
        self.sdk.trigger([channel], "moved", {"to": 2})
        self.assertEqual([other.expect("moved").data["to"] for _ in range(2)], [1, 2])
        self.assertEqual(excluded.expect("moved").data["to"], 2)
        self.sdk.trigger([channel], "moved", {"to": 3}, "1.1")
        self.assertEqual(excluded.expect("moved").data["to"], 3)

    def test_encrypted(self) -> None:
        """Encrypted channels: what this SDK encrypts passes untouched, and each build of pusher-js reads it."""
        channel, secret = fresh("private-encrypted-room"), {"secret": "ß" * 1000}
        clients = [self.connected(library=library) for library in ("pusher-js", "pusher-js/with-encryption")]
        for client in clients:
            client.subscribe(channel)
        self.sdk.trigger([channel], "told", secret)
        for client in clients:
            self.assertEqual(client.expect("told", channel).data, secret)

    def test_nobody_there(self) -> None:
        """Trigger: an event for a channel nobody is on is a success like any other."""
        self.assertEqual(self.sdk.trigger([fresh("news")], "price-changed", {}), {})

    def test_encrypted_and_cached(self) -> None:
        """Cache channels: an encrypted one gives its last event to a late subscriber, who can read it."""
        channel = fresh("private-encrypted-cache-room")
        self.sdk.trigger([channel], "told", {"secret": "ß"})
        for library in ("pusher-js", "pusher-js/with-encryption"):
            late = self.connected(library=library)
            late.subscribe(channel)
            self.assertEqual(late.expect("told", channel).data, {"secret": "ß"})
            self.assertEqual(late.seen(MISSED), [])

    def test_cached(self) -> None:
        """Cache channels: each kind remembers the last event that this SDK triggered, for half an hour."""
        for kind in ("cache-news", "private-cache-room", "presence-cache-room"):
            channel = fresh(kind)
            self.assertEqual(self.sdk.channel(channel, ["cache"]), {"occupied": False, "cache": None})
            self.sdk.trigger([channel], "price-changed", {"eur": 12.5})
            self.sdk.trigger([channel], "price-changed", {"eur": 13})
            cache = self.sdk.channel(channel, ["cache"])["cache"]
            self.assertEqual(json.loads(cache["data"]), {"eur": 13})
            self.assertTrue(0 < cache["ttl"] <= 1800)
            late = self.connected("ann")
            late.do("subscribe", channel=channel)
            late.expect("price-changed", channel, where=lambda data: data == {"eur": 13})
            self.assertEqual([event for event, _ in late.heard(channel)], [SUBSCRIBED])

    # Several events at once

    def test_batch(self) -> None:
        """Batch: each event goes to its own channel, less the connection it excludes, encrypted where it must be."""
        ann, bob = self.connected("ann"), self.connected("bob")
        news, room, closed = fresh("news"), fresh("presence-room"), fresh("private-encrypted-room")
        for client in (ann, bob):
            for channel in (news, room, closed):
                client.subscribe(channel)
        events: list[dict[str, Any]] = [
            {"channel": news, "name": "price-changed", "data": {"eur": 12.5}},
            {"channel": room, "name": "moved", "data": {"to": 1}, "socket_id": ann.socket_id},
            {"channel": closed, "name": "told", "data": {"secret": "ß"}},
            {"channel": room, "name": "ended", "data": "the end"},
        ]
        self.assertEqual(self.sdk.trigger_batch(events), {})
        for client in (ann, bob):
            self.assertEqual(client.expect("price-changed", news).data, {"eur": 12.5})
            self.assertEqual(client.expect("told", closed).data, {"secret": "ß"})
            self.assertEqual(client.expect("ended", room).data, "the end")
        bob.expect("moved", room)
        self.assertEqual(ann.seen("moved"), [])

    def test_batch_with_info(self) -> None:
        """Batch: where any event asks for `info`, the answer is as long as the batch and in its order."""
        news, room = fresh("news"), fresh("presence-room")
        for user_id in ("ann", "bob", "bob"):
            client = self.connected(user_id)
            client.subscribe(news)
            client.subscribe(room)
        events = [
            {"channel": room, "name": "moved", "data": "1", "info": "user_count,subscription_count"},
            {"channel": news, "name": "moved", "data": "2"},
            {"channel": news, "name": "moved", "data": "3", "info": "subscription_count"},
        ]
        counts = [{"user_count": 2, "subscription_count": 3}, {}, {"subscription_count": 3}]
        self.assertEqual(self.sdk.trigger_batch(events), {"batch": counts})

    def test_batch_too_large(self) -> None:
        """Batch: ten events fit, more are a 400, and none of them is sent."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        events = [{"channel": channel, "name": f"moved-{number}", "data": "1"} for number in range(11)]
        self.assert_refused(400, "Batch too large (11 > 10)\n", self.sdk.trigger_batch, events)
        client.settle()
        self.assertEqual(client.heard(channel), [])
        self.sdk.trigger_batch(events[:10])
        client.expect("moved-9", channel)
        self.assertEqual([event for event, _ in client.heard(channel)], [f"moved-{number}" for number in range(9)])

    def test_batch_with_a_fault(self) -> None:
        """Batch: it is checked as a whole; where one event is refused, none is sent."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        events = [{"channel": channel, "name": name, "data": "1"} for name in ("moved", "pusher:error")]
        self.assert_refused(400, "reserved", self.sdk.trigger_batch, events)
        client.settle()
        self.assertEqual(client.heard(channel), [])

    # Users

    def test_send_to_user(self) -> None:
        """Server to user messages: every connection that signed in as the user gets it, and nobody else."""
        ann, bob = fresh("ann"), fresh("bob")
        tabs, other = [self.signed_in(ann), self.signed_in(ann)], self.signed_in(bob)
        self.assertEqual(self.sdk.send_to_user(ann, "mail", {"subject": "Grüße"}), {})
        for tab in tabs:
            self.assertEqual(tab.expect("mail", scope="user").data, {"subject": "Grüße"})
        self.sdk.send_to_user(bob, "mail", {"subject": "your own"})
        self.assertEqual(other.expect("mail", scope="user").data, {"subject": "your own"})
        for client in (*tabs, other):
            client.settle()
            self.assertEqual(client.seen("mail", scope="user"), [])

    def test_send_to_absent_user(self) -> None:
        """Server to user messages: one to a user who is not there is a success like any other."""
        self.assertEqual(self.sdk.send_to_user(fresh("nobody"), "mail", {}), {})

    def test_inbox_is_in_no_list(self) -> None:
        """Server to user messages: a user's own channel is in no list of channels."""
        self.signed_in(fresh("ann"))
        self.assertEqual([name for name in self.sdk.channels("")["channels"] if name.startswith(INBOX)], [])

    def test_terminate(self) -> None:
        """Terminating: all connections signed in as the user are closed by 4009 and stay away; no others are."""
        ann = fresh("ann")
        tabs, other = [self.signed_in(ann), self.signed_in(ann)], self.signed_in(fresh("bob"))
        present = self.connected(ann)
        present.subscribe(fresh("presence-room"))
        self.assertEqual(self.sdk.terminate(ann), {})
        for tab in tabs:
            self.assertEqual(tab.expect_error()["code"], 4009)
            tab.expect("disconnected")
            self.assertEqual(tab.state, "disconnected")
        for client in (other, present):
            client.settle()

    def test_terminate_absent_user(self) -> None:
        """Terminating: a user who has no connections is a success like any other."""
        self.assertEqual(self.sdk.terminate(fresh("nobody")), {})

    # Asking

    def test_occupied_channels(self) -> None:
        """Queries: only occupied channels are listed, those whose names begin so."""
        client, prefix = self.connected("1"), fresh("presence-hall")
        self.assertEqual(self.sdk.channels(f"{prefix}-"), {"channels": {}})
        for name in ("a", "b"):
            client.subscribe(f"{prefix}-{name}")
        client.subscribe(fresh("news"))
        self.assertEqual(self.sdk.channels(f"{prefix}-"), {"channels": {f"{prefix}-a": {}, f"{prefix}-b": {}}})
        client.unsubscribe(f"{prefix}-b")
        client.settle()
        listed = self.sdk.channels(f"{prefix}-", ["user_count"])
        self.assertEqual(listed, {"channels": {f"{prefix}-a": {"user_count": 1}}})

    def test_one_channel(self) -> None:
        """Queries: a channel tells whether it is occupied, by how many connections and by how many users."""
        channel, attributes = fresh("presence-room"), ["user_count", "subscription_count"]
        empty = self.sdk.channel(channel, attributes)
        self.assertEqual(empty, {"occupied": False, "user_count": 0, "subscription_count": 0})
        for user_id in ("ann", "bob", "bob"):
            self.connected(user_id).subscribe(channel)
        full = self.sdk.channel(channel, attributes)
        self.assertEqual(full, {"occupied": True, "user_count": 2, "subscription_count": 3})

    def test_users(self) -> None:
        """Queries: the users on a presence channel are listed once each, by ids that are text."""
        channel = fresh("presence-room")
        self.assertEqual(self.sdk.users(channel), {"users": []})
        for user_id in (10, "bob", "bob"):
            self.connected(user_id).subscribe(channel)
        users = self.sdk.users(channel)["users"]
        self.assertEqual(sorted(users, key=lambda user: str(user["id"])), [{"id": "10"}, {"id": "bob"}])

    def test_wrong_questions(self) -> None:
        """Queries: who asks public channels for users is told that only presence channels have them."""
        for call, arguments in (
            (self.sdk.channels, ("news", ["user_count"])),
            (self.sdk.channel, ("news", ["user_count"])),
            (self.sdk.users, ("news",)),
        ):
            self.assert_refused(400, "presence", call, *arguments)

    # Being refused

    def test_wrong_secret(self) -> None:
        """Request signature: one made with another secret is a 401, and nobody gets the event."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        wrong = self.make_sdk(secret="00000000000000000000")
        self.assert_refused(401, "Invalid signature", wrong.trigger, [channel], "forged", {})
        self.assert_refused(401, "Invalid signature", wrong.channels, "")
        self.sdk.trigger([channel], "genuine", {})
        client.expect("genuine", channel)
        self.assertEqual(client.seen("forged"), [])

    def test_unknown_key(self) -> None:
        """Status codes: a key that no app has is a 400."""
        unknown = self.make_sdk(key="00000000000000000000")
        self.assert_refused(400, "Unknown auth_key\n", unknown.trigger, ["news"], "price-changed", {})

    def test_event_without_a_name(self) -> None:
        """Trigger: an event without a name is a 400, and harms nobody on the channel."""
        client, channel = self.connected(), fresh("news")
        client.subscribe(channel)
        self.assert_refused(400, "name", self.sdk.trigger, [channel], "", {})
        client.settle()
        self.sdk.trigger([channel], "price-changed", {})
        client.expect("price-changed", channel)

    def test_reserved_name(self) -> None:
        """Delivered event: the server's own event names cannot be triggered."""
        for event in ("pusher:error", "pusher_internal:member_added"):
            self.assert_refused(400, "reserved", self.sdk.trigger, ["news"], event, {})

    def test_too_much_data(self) -> None:
        """Limits: data of 10 kB fits, more is a 413."""
        self.sdk.trigger(["news"], "price-changed", "x" * 10240)
        self.assert_refused(413, "10240 bytes", self.sdk.trigger, ["news"], "price-changed", "x" * 10241)

    # Letting users in

    def test_authorize(self) -> None:
        """Authentication tokens: what this SDK signs is accepted on private and presence channels."""
        client = self.connected()
        private, presence = fresh("private-room"), fresh("presence-room")
        member = {"user_id": "ann", "user_info": {"name": "Änn"}}
        client.send("pusher:subscribe", {"channel": private, **self.sdk.authorize(client.socket_id, private)})
        client.send("pusher:subscribe", {"channel": presence, **self.sdk.authorize(client.socket_id, presence, member)})
        client.settle()
        self.assertEqual(self.sdk.channel(private)["occupied"], True)
        self.assertEqual(self.sdk.users(presence), {"users": [{"id": "ann"}]})
