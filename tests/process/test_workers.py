"""Several processes on the same ports."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import JOINED
from tests.cluster.redis import RedisServer
from tests.process.running import run
from tests.sdk.sdks import PythonSdk
from tests.server import KEY, PATIENCE, Server, wait_for

COUNT = 3


def files_of(pid: int) -> int:
    """Count the open files of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def count_of(sdk: PythonSdk) -> int:
    """Count the subscribers to the news, by REST."""
    count: int = sdk.channel("news", ["subscription_count"])["subscription_count"]
    return count


class WorkersTests(ClusterTestCase):
    """A server with workers, which share a Redis."""

    def setUp(self) -> None:
        """Start one."""
        super().setUp()
        self.redis = self.enterContext(RedisServer())
        options = (f"--redis-url={self.redis.url}", f"--workers={COUNT}", "--node-lease=2")
        self.server = self.enterContext(Server(*options))
        wait_for("all workers", lambda: self.server.log.count(JOINED) == COUNT)

    def workers(self) -> set[int]:
        """Give the process ids of the workers."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def connections(self, count: int) -> list[ClientConnection]:
        """Connect clients, and subscribe them to the news."""
        url = f"ws://127.0.0.1:{self.server.websocket_port}/app/{KEY}?protocol=7"
        clients = [self.enterContext(connect(url)) for _ in range(count)]
        for client in clients:
            client.recv(PATIENCE)
            client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "news"}}))
            self.assertIn("subscription_succeeded", client.recv(PATIENCE))
        return clients

    def test_shared(self) -> None:
        """Workers share the connections of both ports out among them, and what is published through one reaches all."""
        clients = self.connections(40)
        sdk = PythonSdk(self.server)
        for number in range(10):
            sdk.trigger(["news"], "numbered", {"number": number})
        for client in clients:
            numbers = {json.loads(json.loads(client.recv(PATIENCE))["data"])["number"] for _ in range(10)}
            self.assertEqual(numbers, set(range(10)))
        wait_for("the count of all", lambda: count_of(sdk) == 40)
        serving = [pid for pid in self.workers() if files_of(pid) > 20]
        self.assertGreater(len(serving), 1)

    def test_replaced(self) -> None:
        """A worker that is killed is replaced, and what it held is let go of by the others."""
        self.connections(40)
        sdk = PythonSdk(self.server)
        before = self.workers()
        victim = max(before, key=files_of)
        os.kill(victim, signal.SIGKILL)
        wait_for("another worker", lambda: len(self.workers() - before) == 1)
        wait_for("it has joined", lambda: self.server.log.count(JOINED) == COUNT + 1)
        wait_for("counts without it", lambda: 0 < count_of(sdk) < 40)
        self.assertEqual(len(self.workers()), COUNT)
        said = re.findall(r"worker \d has ended by SIGKILL; another takes its place", self.server.log)
        self.assertEqual(len(said), 1)

    def test_ended(self) -> None:
        """One signal ends them all, and nothing is left of them in Redis."""
        self.connections(5)
        workers = self.workers()
        self.server.terminate()
        for pid in workers:
            self.assertFalse(Path(f"/proc/{pid}").exists())
        self.assertNotIn("has ended", self.server.log)
        self.assertNotRegex(self.server.log, r"(?m)\[worker \d\] ?$|Closed\)")

    def test_orphans(self) -> None:
        """Workers do not outlive the process that watches them, however it ends."""
        workers = self.workers()
        os.kill(self.server.pid, signal.SIGKILL)
        wait_for("their end", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

    def test_taken(self) -> None:
        """A port that another server has is a fault at start."""
        options = ("-n", "--pidfile=", "slanger", f"--app-key={KEY}", f"--redis-url={self.redis.url}", "--workers=2")
        with Server() as other, tempfile.TemporaryDirectory() as directory:
            ports = (f"-w127.0.0.1:{other.websocket_port}", f"-a127.0.0.1:{other.api_port}")
            ended = run(*options, *ports, cwd=Path(directory))
        self.assertEqual(ended.returncode, 1)
        self.assertIn("cannot listen on 127.0.0.1", ended.stderr)
