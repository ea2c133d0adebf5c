"""`/health`, as balancers and people ask for it."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.api.endpoint import Api
from slanger.api.lean import LeanSite
from slanger.domain.apps import Apps
from slanger.transports.direct import writer
from tests.api.requests import Connection
from tests.builders import MemoryNode, make_app


class HealthTestCase(SynchronousTestCase):
    """A node that is asked how it is."""

    path = "/health"
    cut_off_since: float | None = None
    unready: str | None = None

    def ask(self, method: str = "GET", more: str = "") -> tuple[int, bytes]:
        """Ask, without any authentication; `more` are further headers."""
        app = make_app()
        node = MemoryNode(app)
        api = Api(
            Apps([app]),
            node.registry,
            node.users,
            Clock(),
            cut_off_since=lambda: self.cut_off_since,
            unready=lambda: self.unready,
        )
        clock = Clock()
        connection = Connection(LeanSite(api, clock, writer), clock)
        connection.say(f"{method} {self.path} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode())
        (response,) = connection.read()
        return response.status, response.body


class HealthTests(HealthTestCase):
    """How a node says that it is."""

    def test_ok(self) -> None:
        """Health: a node that lacks nothing is ok."""
        status, body = self.ask()
        self.assertEqual((status, json.loads(body)), (200, {"status": "ok"}))

    def test_degraded(self) -> None:
        """Health: a node that is cut off serves still, and says why it is degraded, and since when."""
        self.cut_off_since = 1_700_000_000.0
        status, body = self.ask()
        told = json.loads(body)
        self.assertEqual((status, told["status"]), (200, "degraded"))
        (reason,) = told["reasons"]
        self.assertIn("Redis", reason["reason"])
        self.assertEqual(reason["since"], "2023-11-14T22:13:20+00:00")

    def test_method(self) -> None:
        """Health: nothing but GET is taken."""
        self.assertEqual(self.ask("POST")[0], 405)


class ReadyTests(HealthTestCase):
    """Whether a node says that clients may be sent to it."""

    path = "/ready"

    def test_ready(self) -> None:
        """Ready: 200, also while the node is cut off: it serves its clients."""
        for self.cut_off_since in (None, 1_700_000_000.0):
            status, body = self.ask()
            self.assertEqual((status, json.loads(body)), (200, {"ready": True}))

    def test_not_ready(self) -> None:
        """Ready: 503 and the reason while it is not, the lean way and the long one alike."""
        self.unready = "stopping: because"
        for more in ("", "Connection: close\r\n"):
            status, body = self.ask(more=more)
            self.assertEqual((status, json.loads(body)), (503, {"ready": False, "reason": "stopping: because"}))

    def test_method(self) -> None:
        """Ready: nothing but GET is taken."""
        self.assertEqual(self.ask("POST")[0], 405)
