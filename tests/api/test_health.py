"""`/health`, as balancers and people ask for it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.api.endpoint import Amiss, Api
from slanger.api.lean import LeanSite
from slanger.domain.apps import Apps
from slanger.transports.direct import write
from tests.api.requests import Connection
from tests.builders import MemoryNode, make_app


class HealthTestCase(SynchronousTestCase):
    """A node that is asked how it is."""

    path = "/health"
    cut_off_since: float | None = None
    amiss: Sequence[Amiss] = ()
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
            amiss=lambda: self.amiss,
            unready=lambda: self.unready,
        )
        clock = Clock()
        connection = Connection(LeanSite(api, clock, write), clock)
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

    def test_other_reasons(self) -> None:
        """Health: whatever else is amiss is told after it, each with its code and since when."""
        self.cut_off_since = 1_700_000_000.0
        self.amiss = [Amiss("webhooks", "a queue is nearly full", 1_700_000_001.5)]
        for since, codes in ((1_700_000_000.0, ["cut_off", "webhooks"]), (None, ["webhooks"])):
            self.cut_off_since = since
            status, body = self.ask()
            told = json.loads(body)
            self.assertEqual((status, told["status"]), (200, "degraded"))
            self.assertEqual([reason["code"] for reason in told["reasons"]], codes)
        expected = {"code": "webhooks", "reason": "a queue is nearly full", "since": "2023-11-14T22:13:21+00:00"}
        self.assertEqual(told["reasons"], [expected])

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
