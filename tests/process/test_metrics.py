"""Metrics of real servers, scraped as Prometheus does, while a client counts every byte."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from datetime import datetime

from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from tests.cluster.nodes import JOINED, Cluster, Node
from tests.cluster.redis import RedisServer
from tests.ports import free_port, free_ports
from tests.process.running import ProcessTestCase, ask, read, run
from tests.scraping import scrape
from tests.server import KEY, PATIENCE, Server, let_pass, wait_for

APP = KEY
"""What names the app in metrics, as it has no id."""

EXTENSIONS: list[Extension] = []

HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
LONG_WAY = HANDSHAKE.replace(b"Host: localhost", b"Host:  localhost")
"""Written so oddly that Autobahn is asked."""


class CountingClient:
    """A client that counts what goes over its socket; use it as a context manager.

    :ivar sent: bytes, and ``received``; ``frames`` come in.
    """

    def __init__(self, port: int, handshake: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sent = self.received = 0
        self._unread = b""
        self.frames: list[bytes] = []
        self.answer = b""
        self._write(handshake)
        while b"\r\n\r\n" not in self._unread:
            self._read()
        self.answer, _, self._unread = self._unread.partition(b"\r\n\r\n")
        self.wait_for_frames(1)

    def __enter__(self) -> CountingClient:
        return self

    def __exit__(self, *fault: object) -> None:
        self.socket.close()

    def say(self, opcode: Opcode, payload: bytes) -> None:
        """Send a frame."""
        self._write(Frame(opcode, payload).serialize(mask=True, extensions=EXTENSIONS))

    def wait_for_frames(self, count: int) -> None:
        """Read until there are as many frames."""
        while True:
            while (end := self._end_of_frame()) is not None:
                self.frames.append(self._unread[:end])
                self._unread = self._unread[end:]
            if len(self.frames) >= count:
                return
            self._read()

    def _end_of_frame(self) -> int | None:
        data = self._unread
        if len(data) < 2:
            return None
        length, begin = data[1], 2
        if length == 126:
            length, begin = int.from_bytes(data[2:4]), 4
        return begin + length if len(data) >= begin + length else None

    def _write(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.sent += len(data)

    def _read(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the connection has ended"
        self.received += len(data)
        self._unread += data


class ScrapeTests(ProcessTestCase):
    """One server."""

    def setUp(self) -> None:
        """Start it, with metrics on the port of the API."""
        super().setUp()
        self.server = self.enterContext(Server("--metrics"))

    def publish(self, data: str) -> int:
        """Trigger an event; give the bytes of the request's body."""
        body = json.dumps({"name": "price", "channel": "news", "data": data}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", self.server.api_port), (200, b"{}"))
        return len(body)

    def test_bytes(self) -> None:
        """Metrics: messages and bytes in and out are to the last one what a client counted, events long and short."""
        client = self.enterContext(CountingClient(self.server.websocket_port, HANDSHAKE))
        client.say(Opcode.TEXT, b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
        client.say(Opcode.TEXT, b'{"event":"pusher:ping","data":{}}')
        client.say(Opcode.PING, b"beat")
        client.wait_for_frames(4)
        bodies = [self.publish("x" * size) for size in (1, 200, 5000)]
        client.wait_for_frames(7)
        told = scrape(self.server.api_port)
        self.assertEqual(told("messages_received_total", app=APP), 2)
        self.assertEqual(told("messages_sent_total", app=APP), len(client.frames))
        self.assertEqual(told("bytes_received_total", app=APP), client.sent)
        self.assertEqual(told("bytes_sent_total", app=APP), client.received)
        self.assertEqual(told("api_bytes_received_total", app=APP), sum(bodies))
        self.assertEqual(told("api_bytes_sent_total", app=APP), 3 * len(b"{}"))
        self.assertEqual((told("deliveries_total", app=APP), told("publish_seconds_count")), (3, 3))
        self.assertEqual(told.by("bytes_sent_total", "app"), {(APP,): client.received})

    def test_bytes_of_the_long_way(self) -> None:
        """Metrics: what Autobahn reads is counted too; only its answer to the handshake is nobody's."""
        client = self.enterContext(CountingClient(self.server.websocket_port, LONG_WAY))
        client.say(Opcode.TEXT, b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
        client.wait_for_frames(2)
        self.publish("y")
        client.wait_for_frames(3)
        client.say(Opcode.CLOSE, b"\x03\xe8")
        client.wait_for_frames(4)
        wait_for("its end", lambda: scrape(self.server.api_port)("connections", app=APP) == 0)
        told = scrape(self.server.api_port)
        answer = len(client.answer) + 4
        self.assertEqual(told("messages_sent_total", app=APP), 4)
        self.assertEqual(told("bytes_received_total", app=APP), client.sent)
        self.assertEqual(
            (told("bytes_sent_total", app=APP), told("bytes_sent_total", app="")), (client.received - answer, answer)
        )
        self.assertEqual(told.by("connections_closed_total", "code"), {("1000",): 1})

    def test_slow_reader(self) -> None:
        """Metrics: what waits for a reader that reads nothing is the backlog; what is dropped for it is counted."""
        client = self.enterContext(CountingClient(self.server.websocket_port, HANDSHAKE))
        client.say(Opcode.TEXT, b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
        client.wait_for_frames(2)
        backlogs = []
        for _ in range(10_000):
            self.publish("z" * 10_000)
            told = scrape(self.server.api_port)
            backlogs.append(told("backlog_bytes", app=APP))
            if told("messages_dropped_total", app=APP):
                break
        self.assertGreater(max(backlogs), 1024 * 1024)
        self.assertGreater(told("messages_dropped_total", app=APP), 50)
        wait_for("its end", lambda: scrape(self.server.api_port)("connections", app=APP) == 0)
        told = scrape(self.server.api_port)
        self.assertEqual((told("backlog_bytes", app=APP), told("subscriptions", app=APP)), (0, 0))

    def test_process(self) -> None:
        """Metrics: memory, processor time and open files are those of the process; the loop's lag is measured."""
        wait_for("a look at the loop", lambda: scrape(self.server.api_port)("event_loop_lag_seconds_count") > 0)
        told = scrape(self.server.api_port)
        self.assertGreater(told("process_resident_memory_bytes"), 10_000_000)
        self.assertGreater(told("process_cpu_seconds_total"), 0.1)
        self.assertLess(abs(told("process_start_time_seconds") - time.time()), 600)
        self.assertGreater(told("process_open_fds"), 5)
        self.assertEqual({value for _, value in told.by("build_info", "version").items()}, {1.0})
        self.assertEqual(told.by("degraded", "reason"), {})

    def test_late(self) -> None:
        """Health: a process that was held up says so, since when, and in metrics and the log, while it serves."""
        wait_for("a look at the loop", lambda: scrape(self.server.api_port)("event_loop_lag_seconds_count") > 0)
        self.server.pause()
        let_pass(2.5)
        self.server.resume()
        wait_for("its own look", lambda: "degraded" in self.server.log)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.api_port}/health", timeout=PATIENCE) as answer:
            told = json.load(answer)
        self.assertEqual((told["status"], [reason["code"] for reason in told["reasons"]]), ("degraded", ["loop_lag"]))
        since = datetime.fromisoformat(told["reasons"][0]["since"]).timestamp()
        self.assertLess(abs(since - time.time()), 60)
        scraped = scrape(self.server.api_port)
        self.assertEqual(scraped("degraded", reason="loop_lag"), 1)
        self.assertGreater(scraped("event_loop_lag_seconds_sum"), 1)
        self.assert_serves(self.connect(self.server.websocket_port), "127.0.0.1", self.server.api_port)

    def test_methods(self) -> None:
        """Metrics: nothing but GET and HEAD is taken."""
        for method, status in (("GET", 200), ("HEAD", 200), ("POST", 405)):
            self.assertEqual(ask(method, "/metrics", b"", "127.0.0.1", self.server.api_port)[0], status)


class PlacesTests(ProcessTestCase):
    """Where metrics are to be had."""

    def status(self, port: int, path: str) -> int:
        """Ask for a path, and give the status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as fault:
            return fault.code

    def test_off(self) -> None:
        """Metrics: unless they are asked for, they are nowhere."""
        with Server() as server:
            self.assertEqual(self.status(server.api_port, "/metrics"), 404)

    def test_own_port(self) -> None:
        """Metrics: a port of their own has them and the health, and nothing of the API; that has no metrics then."""
        port = free_port()
        with Server(f"--metrics-host=127.0.0.1:{port}") as server:
            statuses = [self.status(port, path) for path in ("/metrics", "/health", "/apps/3/channels", "/")]
            self.assertEqual(statuses, [200, 200, 404, 404])
            self.assertEqual(ask("GET", "/apps/3/channels", b"", "127.0.0.1", port)[0], 404)
            self.assertEqual(self.status(server.api_port, "/metrics"), 404)

    def test_taken(self) -> None:
        """Metrics: a port that is taken is a fault at start."""
        with Server() as other:
            options = ("-n", "--pidfile=", "slanger", f"--app-key={KEY}", "--redis-url=none")
            ports = (f"-w127.0.0.1:{free_port()}", f"-a127.0.0.1:{free_port()}")
            ended = run(*options, *ports, f"--metrics-host=127.0.0.1:{other.api_port}", cwd=self.folder)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("cannot listen on", ended.stderr)

    def test_workers(self) -> None:
        """Metrics: each worker has a port of its own, in a row; together they tell what was done."""
        ports = free_ports(3)
        redis = self.enterContext(RedisServer())
        options = (f"--redis-url={redis.url}", "--workers=3", f"--metrics-host=127.0.0.1:{ports.start}")
        server = self.enterContext(Server(*options))
        wait_for("all workers", lambda: server.log.count(JOINED) == 3)
        clients = [self.connect(server.websocket_port) for _ in range(12)]
        for client in clients:
            self.subscribe(client)
        body = json.dumps({"name": "price", "channel": "news", "data": "1"}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", server.api_port)[0], 200)
        for client in clients:
            self.assertEqual(read(client)["data"], "1")
        told = list(map(scrape, ports))
        self.assertEqual(sum(each("connections", app=APP) for each in told), 12)
        self.assertEqual(sum(each("deliveries_total", app=APP) for each in told), 12)
        self.assertEqual(sum(each("api_events_total", app=APP) for each in told), 1)
        self.assertEqual({each("broker_up") for each in told}, {1})


class BrokerTests(ProcessTestCase):
    """Two nodes and their Redis."""

    def test_link(self) -> None:
        """Metrics and health: the link's state and since when, what is sent, heard, buffered and replayed."""
        redis = self.enterContext(RedisServer())
        cluster = self.enterContext(Cluster(redis, 2, "--metrics", "--node-lease=2"))
        one, two = cluster.nodes
        client = self.enterContext(connect(f"ws://127.0.0.1:{two.websocket_port}/app/{KEY}?protocol=7"))
        read(client)
        self.subscribe(client)
        self.publish(one, "1")
        self.assertEqual(read(client)["data"], "1")
        wait_for("it is acknowledged", lambda: scrape(one.api_port)("broker_messages_total", way="sent") == 1)
        told = scrape(two.api_port)
        self.assertEqual(told("node_events_total", app=APP), 1)
        self.assertGreaterEqual(told("broker_messages_total", way="heard"), 1)
        self.assertEqual((told("broker_up"), told("broker_joins_total"), told("broker_cuts_total")), (1, 1, 0))
        self.assertLess(abs(told("broker_since_timestamp_seconds") - time.time()), 120)

        cluster.proxies[1].cut()
        two.wait_until_cut_off()
        self.publish(one, "2")
        self.publish(two, "3")
        self.assertEqual(read(client)["data"], "3")
        told = scrape(two.api_port)
        self.assertEqual((told("broker_up"), told("broker_cuts_total"), told("broker_waiting_messages")), (0, 1, 1))
        self.assertGreater(told("broker_waiting_bytes"), 100)
        self.assertEqual(told.by("degraded", "reason"), {("cut_off",): 1})
        (reason,) = self.health(two)["reasons"]
        self.assertEqual((reason["code"], reason["reason"][:18]), ("cut_off", "cut off from Redis"))
        self.assertLess(abs(told("broker_since_timestamp_seconds") - time.time()), 120)

        cluster.proxies[1].go_on()
        two.wait_until_joined()
        self.assertEqual(read(client)["data"], "2")
        told = scrape(two.api_port)
        self.assertEqual((told("broker_up"), told("broker_joins_total"), told("broker_waiting_messages")), (1, 2, 0))
        self.assertGreaterEqual(told("replayed_messages_total"), 1)
        self.assertGreaterEqual(told("replays_total"), 1)
        self.assertEqual(self.health(two), {"status": "ok"})

    def publish(self, node: Node, data: str) -> None:
        """Trigger an event on a node."""
        body = json.dumps({"name": "price", "channel": "news", "data": data}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", node.api_port)[0], 200)

    def health(self, node: Node) -> dict[str, list[dict[str, str]]]:
        """Ask a node how it is."""
        with urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/health", timeout=PATIENCE) as answer:
            told: dict[str, list[dict[str, str]]] = json.load(answer)
        return told
