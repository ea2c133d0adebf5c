"""The log of real processes, in both forms."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.cluster.nodes import JOINED, Node
from tests.cluster.redis import RedisServer
from tests.ports import free_port
from tests.process.running import Daemon, Foreground, ProcessTestCase, ask, environment, read
from tests.server import KEY, PATIENCE, SECRET, Server, twistd, wait_for

COMMON = ["time", "level", "namespace", "event", "message"]


def objects(log: str) -> list[dict[str, Any]]:
    """Read a log in JSON: each line is an object."""
    return [json.loads(line) for line in log.splitlines()]


def named(log: str, event: str) -> list[dict[str, Any]]:
    """Give the events of a name."""
    return [each for each in objects(log) if each["event"] == event]


def addresses() -> tuple[str, ...]:
    """Give options for two ports that are free."""
    return f"--websocket-host=127.0.0.1:{free_port()}", f"--api-host=127.0.0.1:{free_port()}"


class JsonTests(ProcessTestCase):
    """`--log-format json`."""

    def test_life(self) -> None:
        """JSON: every line from the first to the last is an object; start, ports and stop have names and fields."""
        with Foreground(*addresses(), "--log-format=json") as server:
            server.process.terminate()
            server.process.wait(PATIENCE)
            self.assertEqual(server.err, "")
            said = objects(server.out)
        for each in said:
            self.assertEqual(list(each)[:5], COMMON)
            self.assertRegex(each["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(
            [each["event"] for each in said if each["event"] != "log"],
            ["start", "alone", "listening", "listening", "stopping", "closed", "closed", "stop"],
        )
        self.assertFalse([each for each in said if "starting on" in each["message"] or "Closed)" in each["message"]])
        ports = [each for each in said if each["event"] == "listening"]
        self.assertEqual([each["what"] for each in ports], ["Slanger WebSocket server", "Slanger API server"])
        self.assertTrue(all(each["where"].startswith("127.0.0.1:") for each in ports))

    def test_daemon(self) -> None:
        """JSON: a daemon writes it to its log file, and begins a new one at SIGUSR1, as twistd does."""
        with Daemon(*addresses(), "--log-format=json") as daemon:
            wait_for("both ports", lambda: len(named(daemon.log_file.read_text(), "listening")) == 2)
            os.kill(daemon.pid, signal.SIGUSR1)
            wait_for("a new file", lambda: Path(f"{daemon.log_file}.1").exists() and daemon.log_file.exists())
            daemon.terminate()
            self.assertEqual(len(named(Path(f"{daemon.log_file}.1").read_text(), "start")), 1)
            self.assertEqual(len(named(daemon.log_file.read_text(), "stop")), 1)

    def test_observer_of_twistd(self) -> None:
        """Log: an observer that twistd is given by name takes the place of ours, and of our file."""
        options = (f"--app-key={KEY}", "--redis-url=none", "--log-format=json", *addresses())
        file = self.folder / "log"
        own = "import sys, twisted.logger as t\ndef make(): return t.textFileLogObserver(sys.stdout)"
        (self.folder / "own.py").write_text(own, encoding="utf-8")
        command = twistd("-n", "--pidfile=", "--logger=own.make", f"--logfile={file}", "slanger", *options)
        env = {**environment(), "PYTHONPATH": f"{self.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        out = self.folder / "out"
        with out.open("wb") as stdout, subprocess.Popen(command, cwd=self.folder, stdout=stdout, env=env) as process:
            wait_for("both ports", lambda: out.read_text().count("listening on") == 2)
            process.terminate()
        self.assertFalse(file.exists())
        self.assertIn("[slanger.tap.Greeting#info] slanger", out.read_text())

    def test_workers(self) -> None:
        """JSON: workers' lines are theirs, with their numbers, beside those of the process that watches them."""
        redis = self.enterContext(RedisServer())
        with Server(f"--redis-url={redis.url}", "--workers=2", "--log-format=json") as server:
            wait_for("all workers", lambda: server.log.count(JOINED) == 2)
            joined = named(server.log, "joined")
            self.assertEqual({each["worker"] for each in joined}, {1, 2})
            self.assertEqual({each["address"] for each in joined}, {redis.url})
            server.terminate()
            objects(server.log)
            self.assertEqual([each.get("worker") for each in named(server.log, "start")], [None])

    def test_changes(self) -> None:
        """JSON: settings that are read again or refused, certificates and the steps of a stop have names, too."""
        certificate, context = self.make_certificate()
        options, app = addresses(), f'[[apps]]\nkey = "{KEY}"\nsecret = "{SECRET}"\n'
        more = (f"--tls-cert={certificate}", "--tls-watch-seconds=1", "--log-format=json")
        with Foreground(*options, *more, config=app) as server:
            self.connect(int(options[0].rpartition(":")[2]), tls=context)
            for line, event in (
                ("activity-timeout = 60", "reloaded"),
                ('redis-prefix = "other"', "needs_restart"),
                ("colour = 1", "reload_refused"),
            ):
                (server.folder / "slanger.toml").write_text(f"{line}\n{app}", encoding="utf-8")
                server.process.send_signal(signal.SIGHUP)
                wait_for(event, lambda event=event: named(server.out, event))  # type: ignore[misc]
            certificate.write_text("hello", encoding="utf-8")
            wait_for("a look at it", lambda: named(server.out, "certificate_refused"))
            server.process.terminate()
            self.assertEqual(server.process.wait(PATIENCE), 0)
            said = {each["event"]: each for each in reversed(objects(server.out))}
        self.assertEqual(said["reloaded"]["changes"], "options changed: activity-timeout")
        self.assertEqual(said["needs_restart"]["option"], "redis-prefix")
        self.assertIn("colour", said["reload_refused"]["fault"])
        self.assertEqual((said["certificate"]["file"], said["certificate"]["names"]), (str(certificate), "127.0.0.1"))
        self.assertIn("no certificate that can be read", said["certificate_refused"]["fault"])
        self.assertEqual((said["stopping"]["name"], said["sending_away"]["count"]), ("SIGTERM", 1))

    def test_cut_off(self) -> None:
        """JSON: the broker's link has names, too: joined, cut off, joined again."""
        redis = self.enterContext(RedisServer())
        with Node(redis.url, "--log-format=json", "--node-lease=2") as node:
            redis.kill()
            wait_for("the cut", lambda: named(node.log, "cut_off"))
            redis.start()
            wait_for("the return", lambda: len(named(node.log, "joined")) == 2)
            self.assertEqual([each["level"] for each in named(node.log, "cut_off")], ["warn"])
            self.assertEqual(
                [each["why"] for each in named(node.log, "cut_off")], ["the other side closed the connection"]
            )

    def test_alone(self) -> None:
        """JSON: a node that has not met the others yet says where it looked for them, and what is in the way."""
        url = f"redis://127.0.0.1:{free_port()}/0"
        with Server(f"--redis-url={url}", "--log-format=json") as server:
            wait_for("being alone", lambda: named(server.log, "alone"))
            (alone,) = named(server.log, "alone")
            self.assertEqual((alone["address"], alone["why"]), (url, "Connection refused"))


class AccessTests(ProcessTestCase):
    """`--access-log`."""

    def use(self, server: Server) -> None:
        """Connect, be refused, trigger over both ways of HTTP, and go."""
        client = self.connect(server.websocket_port)
        self.subscribe(client, "news")
        body = json.dumps({"name": "price", "channel": "news", "data": "1"}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", server.api_port)[0], 200)
        read(client)
        with socket.create_connection(("127.0.0.1", server.api_port), PATIENCE) as odd:
            odd.sendall(b"GET /nothing?auth_signature=hidden HTTP/1.0\r\n\r\n")
            while odd.recv(4096):
                pass
        with self.assertRaises(AssertionError):
            self.connect(server.websocket_port, key="unknown")
        client.close()

    def test_json(self) -> None:
        """Access log: a line for each connection that comes, is refused and goes, and for each request."""
        with Server("--access-log", "--log-format=json", "--app-id=3") as server:
            self.use(server)
            wait_for("the end", lambda: named(server.log, "connection_closed"))
            log = server.log
        (opened,), (closed,) = named(log, "connection_opened"), named(log, "connection_closed")
        self.assertEqual((opened["app"], closed["app"], closed["code"]), ("3", "3", 1000))
        self.assertEqual((opened["socket_id"], opened["peer"]), (closed["socket_id"], closed["peer"]))
        self.assertIn("127.0.0.1", opened["peer"])
        self.assertGreaterEqual(closed["seconds"], 0)
        (refused,) = named(log, "connection_refused")
        self.assertEqual((refused["code"], refused["level"]), (4001, "info"))
        requests = [(each["method"], each["path"], each["status"], each["bytes"]) for each in named(log, "request")]
        self.assertEqual(requests, [("POST", "/apps/3/events", 200, 2), ("GET", "/nothing", 404, 14)])
        self.assertEqual({each["peer"] for each in named(log, "request")}, {"127.0.0.1"})
        for secret in ("auth_signature", "hidden", SECRET):
            self.assertNotIn(secret, log)

    def test_text(self) -> None:
        """Access log: the same in text, a line each."""
        with Server("--access-log", "--app-id=3") as server:
            self.use(server)
            wait_for("the end", lambda: "closed" in server.log)
            log = server.log
        for words in (" opened ", " refused with 4001: ", "127.0.0.1 POST /apps/3/events 200 2", "/nothing 404 14"):
            self.assertEqual(len([line for line in log.splitlines() if words in line]), 1, words)
        self.assertNotIn("hidden", log)

    def test_off(self) -> None:
        """Access log: without it, nobody who comes and goes is in the log."""
        with Server("--app-id=3") as server:
            self.use(server)
            ask("GET", "/apps/3/channels", b"", "127.0.0.1", server.api_port)
            log = server.log
        for words in ("opened", "refused", "/apps/3", "/nothing"):
            self.assertNotIn(words, log)


class ForgeryTests(ProcessTestCase):
    """What a client says cannot look like a line of the log."""

    FORGED = "x%0A2026-01-01T00:00:00+0000 [slanger%23info] forged"

    def test_key(self) -> None:
        """Log: newlines in a key that is refused are escaped, in text and in JSON."""
        for form in ("text", "json"):
            with Server("--access-log", "-v", f"--log-format={form}") as server:
                with socket.create_connection(("127.0.0.1", server.websocket_port), PATIENCE) as client:
                    client.sendall(
                        f"GET /app/{self.FORGED.replace(' ', '%20')}?protocol=7 HTTP/1.1\r\nHost: a\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
                    )
                    wait_for("the refusal", lambda server=server: "forged" in server.log)  # type: ignore[misc]
                log = server.log
            self.assertEqual([line for line in log.splitlines() if line.startswith("2026-01-01")], [])
            forged = [line for line in log.splitlines() if "forged" in line]
            self.assertTrue(all("x\\n2026" in line or "x\\\\n2026" in line for line in forged), forged)

    def test_frames(self) -> None:
        """Log: nor do control characters of a frame reach a terminal, with `--verbose`."""
        with Server("-v") as server:
            client = self.connect(server.websocket_port)
            client.send("no JSON\n\x1b[2J forged")
            read(client)
            wait_for("the line", lambda: "forged" in server.log)
            log = server.log
        self.assertNotIn("\x1b", log)
        self.assertIn("\\n\\x1b[2J forged", log)

    def test_secret(self) -> None:
        """Log: the app's secret is in none of it, whatever is logged."""
        with Server("-v", "--access-log", "--log-format=json") as server:
            client = self.connect(server.websocket_port)
            self.subscribe(client)
            ask("GET", "/apps/3/channels", b"", "127.0.0.1", server.api_port, secret="wrong")
            self.assertNotIn(SECRET, server.log)
            self.assertIn(KEY, server.log)
