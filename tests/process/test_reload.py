"""SIGHUP to real servers: in the foreground, as a daemon, from a terminal, and with workers."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.cluster.nodes import JOINED
from tests.cluster.redis import RedisServer
from tests.ports import free_port
from tests.process.running import LISTENING, Daemon, ProcessTestCase, ask, environment, read
from tests.process.test_start import addresses
from tests.process.test_stop import HANDSHAKE
from tests.server import KEY, PATIENCE, SECRET, Server, twistd, wait_for

STAYS = "the settings stay as they were"


def app(key: str, more: str = "", secret: str = SECRET) -> str:
    """Write the table of an app."""
    return f'[[apps]]\nkey = "{key}"\nsecret = "{secret}"\n{more}\n'


def close_code(client: ClientConnection) -> int:
    """Read to the end, and give the close code."""
    try:
        while True:
            client.recv(PATIENCE)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code


class ReloadTestCase(ProcessTestCase):
    """Servers with a settings file."""

    def setUp(self) -> None:
        """Have a place for it."""
        super().setUp()
        self.file = self.folder / "slanger.toml"

    def write(self, *parts: str) -> None:
        """Write the settings file, as editors do: a new one is moved over it."""
        new = self.folder / "new.toml"
        new.write_text("".join(f"{part}\n" for part in parts), encoding="utf-8")
        new.rename(self.file)

    def trigger(self, api: int, key: str = KEY, secret: str = SECRET) -> int:
        """Send an event to the news of an app, and give the status."""
        body = json.dumps({"name": "price", "channel": "news", "data": "1"}).encode()
        return ask("POST", "/apps/3/events", body, "127.0.0.1", api, key=key, secret=secret)[0]


class ForegroundTests(ReloadTestCase):
    """`twistd -n slanger`."""

    def test_reload(self) -> None:
        """Reload: on SIGHUP apps come, go and change, and nobody is disconnected but whose app is served no more."""
        self.write(app("one"), app("two"), app("three"))
        with Server(f"--config={self.file}") as server:
            clients = {key: self.connect(server.websocket_port, key=key) for key in (KEY, "one", "two", "three")}
            for key in (KEY, "one"):
                self.subscribe(clients[key])
            self.write("activity-timeout = 77", app("one", "client-events = false"), app("two", "enabled = false"))
            line = server.hang_up()
            self.assertIn("apps changed: one, two; apps removed: three; options changed: activity-timeout", line)
            self.assertEqual((close_code(clients["two"]), close_code(clients["three"])), (4003, 4001))
            statuses = [self.trigger(server.api_port, key) for key in (KEY, "one", "two", "three")]
            self.assertEqual(statuses, [200, 200, 403, 400])
            for key in (KEY, "one"):
                self.assertEqual(read(clients[key])["event"], "price")
            clients["one"].send('{"event":"client-x","channel":"private-x","data":"{}"}')
            self.assertIn("must enable", read(clients["one"])["data"]["message"])
            self.write(app("one"), app("four"))
            server.hang_up()
            self.subscribe(self.connect(server.websocket_port, key="four"))
            self.assertNotIn("Traceback", server.log)
            self.assertNotIn(SECRET, server.log)

    def test_broken(self) -> None:
        """Reload: a broken file changes nothing, and the log says why; when it is mended, it is taken over."""
        self.write(app("one"))
        with Server(f"--config={self.file}") as server:
            client = self.connect(server.websocket_port, key="one")
            self.subscribe(client)
            self.write(app("two"), "colour = 1")
            line = server.hang_up(STAYS)
            self.assertIn("#error]", line)
            self.assertIn("colour", line)
            self.assertEqual([self.trigger(server.api_port, key) for key in ("one", "two")], [200, 400])
            self.assertEqual(read(client)["event"], "price")
            self.write(app("one"), app("two"))
            server.hang_up()
            self.assertEqual([self.trigger(server.api_port, key) for key in ("one", "two")], [200, 200])

    def test_many_signals(self) -> None:
        """Reload: many signals in a row do no harm, and the last file holds."""
        self.write(app("one"))
        with Server(f"--config={self.file}") as server:
            client = self.connect(server.websocket_port, key="one")
            for number in range(100):
                self.write(app("one"), app(f"app-{number}"))
                os.kill(server.pid, signal.SIGHUP)
            wait_for("the last app", lambda: self.trigger(server.api_port, "app-99") == 200)
            self.assert_serves_app(client, server.api_port, "one")
            self.assertNotIn("Traceback", server.log)

    def assert_serves_app(self, client: ClientConnection, api: int, key: str) -> None:
        """Check that a client hears what its app sends."""
        self.subscribe(client)
        self.assertEqual(self.trigger(api, key), 200)
        self.assertEqual(read(client)["event"], "price")


class DaemonTests(ReloadTestCase):
    """`twistd slanger`."""

    def test_secret_file(self) -> None:
        """Reload: a daemon without a settings file reads its secret again: the old one signs nothing any more.

        Clients that are connected stay.
        """
        secret = self.folder / "secret"
        secret.write_text("first")
        websocket, api, options = addresses()
        with Daemon(*options, f"--secret-file={secret}") as daemon:
            wait_for("listening", lambda: daemon.log_file.read_text().count(LISTENING) == 2)
            client = self.connect(websocket)
            self.subscribe(client)
            self.assertEqual([self.trigger(api, secret=each) for each in ("first", "second")], [200, 401])
            secret.write_text("second\n")
            os.kill(daemon.pid, signal.SIGHUP)
            wait_for("the new secret", lambda: self.trigger(api, secret="second") == 200)
            self.assertEqual(self.trigger(api, secret="first"), 401)
            self.assertEqual([read(client)["event"] for _ in range(2)], ["price"] * 2)
            log = daemon.log_file.read_text()
            self.assertIn("the settings were read again: apps changed", log)
            self.assertNotIn("Traceback", log)
            daemon.terminate()


class TerminalTests(ReloadTestCase):
    """A server that was started from a terminal."""

    def start(self, *before: str) -> tuple[subprocess.Popen[bytes], int, int]:
        """Start one on a terminal of its own; give it, the terminal, and the port of its API."""
        _, api, options = addresses()
        ours, theirs = pty.openpty()
        script = f'exec {" ".join(before)} "$@" > "{self.folder}/log" 2>&1 < /dev/null'
        command = [
            "env",
            "--default-signal=HUP",
            "setsid",
            "-c",
            "sh",
            "-c",
            script,
            "sh",
            *twistd("-n", "--pidfile=", "slanger"),
        ]
        process = subprocess.Popen(
            [*command, f"--app-key={KEY}", "--redis-url=none", *options], stdin=theirs, env=environment()
        )
        os.close(theirs)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        log = self.folder / "log"
        wait_for("listening", lambda: log.exists() and log.read_text().count(LISTENING) == 2)
        return process, ours, api

    def reloads(self) -> int:
        """Count the reloads so far."""
        return (self.folder / "log").read_text().count("nothing has changed")

    def test_signal(self) -> None:
        """Reload: SIGHUP is the order to reload while the terminal is there; when it is closed, the server ends."""
        process, terminal, api = self.start()
        process.send_signal(signal.SIGHUP)
        wait_for("a reload", lambda: self.reloads() == 1)
        self.assertEqual(self.trigger(api), 200)
        os.close(terminal)
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_closed_while_stopping(self) -> None:
        """Stop: a terminal that is closed while clients are sent away changes nothing."""
        process, terminal, _ = self.start()
        log = self.folder / "log"
        (port,) = re.findall(r"WebSocket server listening on 127\.0\.0\.1:(\d+)", log.read_text())
        with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as silent:  # answers no close, so it lasts
            silent.sendall(HANDSHAKE)
            self.assertIn(b"101", silent.recv(4096))
            process.send_signal(signal.SIGTERM)
            wait_for("the farewell", lambda: "clients away" in log.read_text())
            os.close(terminal)
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertNotIn("Traceback", log.read_text())

    def test_nohup(self) -> None:
        """Reload: started with `nohup` it outlives its terminal, and reloads without it."""
        process, terminal, api = self.start("nohup")
        os.close(terminal)  # that is a SIGHUP, too
        wait_for("a reload", lambda: self.reloads() == 1)
        process.send_signal(signal.SIGHUP)
        wait_for("another", lambda: self.reloads() == 2)
        self.assertEqual(self.trigger(api), 200)
        self.assertIsNone(process.poll())


class WorkersTests(ReloadTestCase):
    """A server with workers."""

    count = 2

    def setUp(self) -> None:
        """Start one."""
        super().setUp()
        self.write(app("one"), app("two"))
        self.redis = self.enterContext(RedisServer())
        options = (f"--redis-url={self.redis.url}", f"--workers={self.count}", "--node-lease=2")
        self.server = self.enterContext(Server(*options, f"--config={self.file}"))
        wait_for("all workers", lambda: self.server.log.count(JOINED) == self.count)

    def workers(self) -> set[int]:
        """Give the process ids of the workers."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def clients(self, key: str, count: int) -> list[ClientConnection]:
        """Connect clients; the kernel shares them out."""
        clients = [self.connect(self.server.websocket_port, key=key) for _ in range(count)]
        for client in clients:
            self.subscribe(client)
        return clients

    def hang_up(self) -> None:
        """Send SIGHUP, and wait until all have heeded it."""
        self.assertIn(f"{self.count} workers do the same", self.server.hang_up())
        wanted = self.server.log.count("workers do the same") * (self.count + 1)
        wait_for("all workers", lambda: self.server.log.count("the settings were read again") == wanted)

    def test_all(self) -> None:
        """Reload: the process that watches passes SIGHUP on; every worker serves the new apps and none the old."""
        workers = self.workers()
        kept, gone = self.clients("one", 20), self.clients("two", 20)
        self.write(app("one"), app("three"))
        self.hang_up()
        self.assertEqual([close_code(client) for client in gone], [4001] * 20)
        self.assertEqual({self.trigger(self.server.api_port, "one") for _ in range(10)}, {200})
        self.assertEqual({self.trigger(self.server.api_port, "two") for _ in range(10)}, {400})
        for client in kept:
            self.assertEqual([read(client)["event"] for _ in range(10)], ["price"] * 10)
        new = self.clients("three", 10)
        self.assertEqual(self.trigger(self.server.api_port, "three"), 200)
        for client in new:
            self.assertEqual(read(client)["event"], "price")
        self.assertEqual(self.workers(), workers)

    def test_broken(self) -> None:
        """Reload: of a broken file the log says once what is wrong, and no worker takes anything over."""
        self.write("colour = 1", app("three"))
        self.assertIn("colour", self.server.hang_up(STAYS))
        self.write(app("one"))
        self.hang_up()
        self.assertEqual(self.server.log.count(STAYS), 1)

    def test_fixed(self) -> None:
        """Reload: what needs a restart is told once; a worker that is replaced meanwhile begins as the others did."""
        other = free_port()
        self.write(f'websocket-host = "127.0.0.1:{other}"', 'redis-prefix = "other"', "workers = 5", app("three"))
        self.hang_up()
        self.assertEqual(self.server.log.count("needs a restart"), 1)
        self.assertIn("redis-prefix", self.server.log)
        before = self.workers()
        os.kill(min(before), signal.SIGKILL)
        wait_for("another worker", lambda: len(self.workers() - before) == 1)
        wait_for("it has joined", lambda: self.server.log.count(JOINED) == self.count + 1)
        clients = self.clients("three", 20)
        self.assertEqual(self.trigger(self.server.api_port, "three"), 200)
        for client in clients:
            self.assertEqual(read(client)["event"], "price")
        self.assertRaises(OSError, connect, f"ws://127.0.0.1:{other}/app/three", proxy=None)

    def test_while_starting(self) -> None:
        """Reload: a worker that is only just starting heeds a signal when it can, and does not die of it."""
        (victim, *_) = before = self.workers()
        os.kill(victim, signal.SIGKILL)
        wait_for("another worker", lambda: len(self.workers() - before) == 1)
        (new,) = self.workers() - before
        for _ in range(20):
            os.kill(self.server.pid, signal.SIGHUP)
        self.write(app("one"), app("three"))
        os.kill(self.server.pid, signal.SIGHUP)
        wait_for("it has joined", lambda: self.server.log.count(JOINED) == self.count + 1)
        clients = self.clients("three", 20)
        self.assertEqual(self.trigger(self.server.api_port, "three"), 200)
        for client in clients:
            self.assertEqual(read(client)["event"], "price")
        self.assertIn(new, self.workers())
