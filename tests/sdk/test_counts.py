"""Subscription counts, seen by pusher-js."""

from __future__ import annotations

from tests.sdk.case import COUNTED, SUBSCRIBED, fresh
from tests.sdk.tenants import BLUE, COUNTING, TenantTestCase


class SubscriptionCounts(TenantTestCase):
    """Telling subscribers how many they are."""

    def test_comes_and_goes(self) -> None:
        """Subscription count: all subscribers are told of each who comes, the newcomer too, and of each who goes."""
        ann, bob = [self.connected(**COUNTING.credentials) for _ in range(2)]
        channel = fresh("news")
        ann.subscribe(channel)
        self.assertEqual(ann.expect(COUNTED, channel).data, {"subscription_count": 1})
        bob.subscribe(channel)
        for client in (ann, bob):
            self.assertEqual(client.expect(COUNTED, channel).data, {"subscription_count": 2})
            self.assertEqual(client.do("subscription_count", channel=channel), 2)
        bob.disconnect()
        self.assertEqual(ann.expect(COUNTED, channel).data, {"subscription_count": 1})

    def test_kinds(self) -> None:
        """Subscription count: all kinds of channel have it but presence channels, after the success."""
        client = self.connected("ann", **COUNTING.credentials)
        for kind in ("news", "private-room", "private-encrypted-room"):
            channel = fresh(kind)
            client.do("subscribe", channel=channel)
            client.settle()
            self.assertEqual([event for event, _ in client.heard(channel)], [SUBSCRIBED, COUNTED])
        for kind in ("cache-news", "private-cache-room", "private-encrypted-cache-room"):
            channel = fresh(kind)
            client.subscribe(channel)
            client.expect(COUNTED, channel)
        for kind in ("presence-room", "presence-cache-room"):
            channel = fresh(kind)
            client.subscribe(channel)
            client.settle()
            self.assertEqual(client.seen(COUNTED, channel), [])

    def test_inbox(self) -> None:
        """Subscription count: a user's inbox has none."""
        client = self.signed_in(fresh("ann"), **COUNTING.credentials)
        client.settle()
        self.assertEqual(client.seen(COUNTED), [])

    def test_turned_off(self) -> None:
        """Subscription count: an app that does not ask for it has none, but REST tells the count all the same."""
        client, channel = self.connected(**BLUE.credentials), fresh("news")
        client.subscribe(channel)
        client.settle()
        self.assertEqual(client.seen(COUNTED), [])
        for sdk in self.sdks(BLUE):
            self.assertEqual(sdk.channel(channel, ["subscription_count"]), {"occupied": True, "subscription_count": 1})
