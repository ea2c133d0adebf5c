"""Metrics, while official clients and a server SDK do what they do."""

from __future__ import annotations

import contextlib

from tests.ports import free_port
from tests.scraping import Scrape, scrape
from tests.sdk.case import ClientTestCase, fresh, running_driver
from tests.sdk.sdks import PythonSdk, Refused
from tests.server import KEY, SECRET, Server, wait_for

ID = "3"


class MetricsTests(ClientTestCase):
    """What is told equals what was done."""

    def setUp(self) -> None:
        """Start a server of this test's own, whose figures nobody else moves."""
        self.metrics_port = free_port()
        options = (f"--metrics-host=127.0.0.1:{self.metrics_port}", f"--app-id={ID}", "--soketi-metrics")
        self.use_server(self.enterContext(Server(*options)))
        self.use_driver(running_driver())

    def scrape(self) -> Scrape:
        """Ask for the metrics."""
        return scrape(self.metrics_port)

    def test_publishing(self) -> None:
        """Metrics: connections, subscriptions, channels, events and deliveries are those of clients and SDK."""
        ann, bob, eve = self.connected("ann"), self.connected("bob"), self.connected()
        news, room, chat = fresh("news"), fresh("presence-room"), fresh("private-chat")
        for client, channels in ((ann, (news, room, chat)), (bob, (news, room)), (eve, (news, chat))):
            for channel in channels:
                client.subscribe(channel)
        sdk = PythonSdk(self.server)
        for number in range(5):
            sdk.trigger([news, chat], "priced", {"number": number})
        sdk.trigger([fresh("nobody")], "unheard", {})
        eve.trigger(chat, "client-hello", {})
        ann.expect("client-hello", chat)
        for client in (ann, eve):
            wait_for("all events", lambda client=client: len(client.seen("priced", chat)) == 5)  # type: ignore[misc]
        told = self.scrape()
        self.assertEqual((told("connections", app=ID), told("connections_opened_total", app=ID)), (3, 3))
        self.assertEqual(told("subscriptions", app=ID), 7)
        kinds = {("public",): 1, ("presence",): 1, ("private",): 1}
        self.assertEqual(told.by("channels", "kind"), kinds)
        self.assertEqual((told("api_events_total", app=ID), told("client_events_total", app=ID)), (11, 1))
        self.assertEqual(told("deliveries_total", app=ID), 5 * 3 + 5 * 2 + 1)
        self.assertEqual((told("fan_out_count", app=ID), told("fan_out_sum", app=ID)), (12, 26))
        buckets = {bound: told("fan_out_bucket", app=ID, le=bound) for bound in ("0.0", "1.0", "2.0", "5.0", "+Inf")}
        self.assertEqual(buckets, {"0.0": 1, "1.0": 2, "2.0": 7, "5.0": 12, "+Inf": 12})
        self.assertEqual(told("publish_seconds_count"), 11)
        self.assertEqual(told.by("api_requests_total", "app", "endpoint", "status"), {(ID, "events", "200"): 6})
        self.assertEqual(told("backlog_bytes", app=ID), 0)
        as_soketi = {"app_id": ID, "port": str(self.server.websocket_port)}
        self.assertEqual(told("soketi_connected", **as_soketi), 3)
        self.assertEqual(told("soketi_http_calls_received_total", **as_soketi), 6)
        for ours, theirs in (
            ("messages_received_total", "ws_messages_received_total"),
            ("messages_sent_total", "ws_messages_sent_total"),
            ("bytes_received_total", "socket_received_bytes"),
            ("bytes_sent_total", "socket_transmitted_bytes"),
            ("api_bytes_received_total", "http_received_bytes"),
            ("api_bytes_sent_total", "http_transmitted_bytes"),
        ):
            self.assertGreater(told(ours, app=ID), 0)
            self.assertEqual(told(f"soketi_{theirs}", **as_soketi), told(ours, app=ID))
        self.go(ann.disconnect, bob.disconnect)
        told = self.scrape()
        self.assertEqual((told("subscriptions", app=ID), told("connections_opened_total", app=ID)), (2, 3))
        self.assertEqual(told.by("channels", "kind"), {("public",): 1, ("private",): 1})
        self.assertEqual(sum(told.by("connections_closed_total", "app", "code").values()), 2)
        self.assertEqual(
            (told("soketi_connected", **as_soketi), told("soketi_new_connections_total", **as_soketi)), (1, 3)
        )
        self.assertEqual(told("soketi_new_disconnections_total", **as_soketi), 2)

    def go(self, *leave: object) -> None:
        """Let clients go, and wait until the server knows."""
        before = self.scrape()("connections", app=ID)
        for each in leave:
            assert callable(each)
            each()
        wait_for("their end", lambda: self.scrape()("connections", app=ID) == before - len(leave))

    def test_refusals(self) -> None:
        """Metrics: what is refused is counted, by what it was for and why; an unknown key is nobody's."""
        wrong = self.connected(secret="wrong")
        wrong.do("subscribe", channel=fresh("private-room"))
        wrong.expect_error()
        other = self.connected(auth_key="another")
        other.do("subscribe", channel=fresh("private-room"))
        other.expect_error()
        stranger = self.client(key="unknown")
        stranger.expect_error()
        for credentials in ({"secret": "wrong"}, {"key": "unknown"}, {"app_id": "4"}):
            with contextlib.suppress(Refused):
                PythonSdk(self.server, **{"app_id": ID, **credentials}).trigger(["news"], "e", {})
        told = self.scrape()
        self.assertEqual(
            told.by("auth_failures_total", "app", "by", "reason"),
            {
                (ID, "channel", "signature"): 1,
                (ID, "channel", "key"): 1,
                (ID, "api", "signature"): 1,
                ("", "api", "key"): 1,
                ("", "api", "app"): 1,
            },
        )
        self.assertEqual(told.by("connections_refused_total", "app", "reason"), {("", "app_key"): 1})
        self.assertEqual(
            told.by("api_requests_total", "app", "endpoint", "status"),
            {("", "events", "401"): 1, ("", "events", "400"): 1, ("", "events", "404"): 1},
        )

    def test_what_is_hidden(self) -> None:
        """Metrics: no name of a channel, user or event is in them, nor the secret; nor are they on the API's port."""
        ann, channel = self.connected("ann-of-metrics"), fresh("presence-hidden")
        ann.subscribe(channel)
        PythonSdk(self.server).trigger([channel], "secretly", {})
        ann.expect("secretly", channel)
        text = self.scrape().text
        for hidden in (channel, "ann-of-metrics", "secretly", SECRET, KEY):
            self.assertNotIn(hidden, text)
        with self.assertRaises(OSError):
            scrape(self.server.api_port)
