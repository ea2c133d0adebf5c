"""Cache channels, seen by pusher-js; what SDKs see of them is in the contract."""

from __future__ import annotations

from tests.sdk.case import MISSED, SUBSCRIBED, ClientTestCase, fresh
from tests.sdk.sdks import PythonSdk

KINDS = ("cache-news", "private-cache-room", "private-encrypted-cache-room", "presence-cache-room")


class CacheChannels(ClientTestCase):
    """Channels that remember."""

    def test_miss(self) -> None:
        """Cache channels: on each kind who finds nothing is told so, right after the success, with an empty object."""
        for kind in KINDS:
            client, channel = self.connected("ann"), fresh(kind)
            client.do("subscribe", channel=channel)
            client.settle()
            heard = client.heard(channel)
            self.assertEqual([event for event, _ in heard], [SUBSCRIBED, MISSED])
            self.assertEqual(heard[1][1], {})

    def test_hit(self) -> None:
        """Cache channels: on each kind a late subscriber gets the last event, right after the success."""
        for kind in KINDS:
            early, late, channel = self.connected("ann"), self.connected("bob"), fresh(kind)
            early.subscribe(channel)
            sdk = PythonSdk(self.server)
            sdk.trigger([channel], "price-changed", {"eur": 12.5})
            sdk.trigger([channel], "price-settled", {"eur": 13})
            early.expect("price-settled", channel)
            late.do("subscribe", channel=channel)
            late.settle()
            heard = late.heard(channel)
            self.assertEqual([event for event, _ in heard], [SUBSCRIBED, "price-settled"])
            self.assertEqual(heard[1][1], {"eur": 13})

    def test_everybody_gone(self) -> None:
        """Cache channels: an event is remembered while nobody is subscribed."""
        client, channel = self.connected(), fresh("cache-news")
        PythonSdk(self.server).trigger([channel], "price-changed", {"eur": 12.5})
        for _ in range(2):
            client.subscribe(channel)
            client.expect("price-changed", channel)
            client.unsubscribe(channel)

    def test_client_events(self) -> None:
        """Cache channels: client events are not remembered."""
        ann, bob, late, channel = self.connected(), self.connected(), self.connected(), fresh("private-cache-room")
        ann.subscribe(channel)
        bob.subscribe(channel)
        ann.trigger(channel, "client-hello")
        bob.expect("client-hello", channel)
        late.subscribe(channel)
        late.expect(MISSED, channel)
        late.settle()
        self.assertEqual(late.heard(channel), [])

    def test_other_channels(self) -> None:
        """Cache channels: no other channel remembers, whatever else its name holds."""
        for kind in ("news", "private-room", "presence-encrypted-cache-room", "Cache-news"):
            client, channel = self.connected("ann"), fresh(kind)
            PythonSdk(self.server).trigger([channel], "price-changed", {})
            client.do("subscribe", channel=channel)
            client.settle()
            self.assertEqual([event for event, _ in client.heard(channel)], [SUBSCRIBED])
