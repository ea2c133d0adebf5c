"""What systemd is told, and the sockets it has."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger.systemd import InheritedPort, Notify
from tests.notified import NotifySocket


class NotifyTests(SynchronousTestCase):
    """A service that says how it is."""

    def setUp(self) -> None:
        """Have a socket of systemd's."""
        self.clock = Clock()
        self.socket = self.enterContext(NotifySocket())
        self.status = "well"

    def make(self, **environment: str) -> Notify:
        """Make the service, in an environment."""
        self.environment = {"NOTIFY_SOCKET": self.socket.address, "HOME": "/", **environment}
        return Notify(self.clock, self.environment, lambda: self.status)

    def told(self) -> list[list[str]]:
        """Give what was told, each datagram by its lines."""
        self.socket.hear()
        return self.socket.told

    def test_states(self) -> None:
        """systemd: it is told when the service is ready, reloads and stops, with the words of its protocol."""
        notify = self.make()
        notify.ready()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notify.reloading()
        notify.reloaded()
        notify.stopping(30)
        ready, reloading, again, stopping = self.told()
        self.assertEqual((ready, again), (["READY=1", "STATUS=well"],) * 2)
        self.assertEqual(stopping, ["STOPPING=1", "EXTEND_TIMEOUT_USEC=30000000", "STATUS=well"])
        self.assertEqual(reloading[0], "RELOADING=1")
        name, _, usec = reloading[1].partition("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertGreaterEqual(int(usec), before)
        self.assertLessEqual(int(usec), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def test_reload_at_the_wrong_time(self) -> None:
        """systemd: a reload while the service still starts, or stops already, does not make it ready."""
        notify = self.make()
        notify.reloading()
        notify.reloaded()
        notify.ready()
        notify.stopping(30)
        notify.reloading()
        notify.reloaded()
        self.assertEqual([lines[0] for lines in self.told()], ["READY=1", "STOPPING=1"])

    def test_abstract(self) -> None:
        """systemd: its socket may have an abstract address."""
        self.socket = self.enterContext(NotifySocket(f"@slanger-test-{os.getpid()}"))
        self.make().ready()
        self.assertEqual(len(self.told()), 1)

    def test_watchdog(self) -> None:
        """Watchdog: a sign of life goes out at half of the time there is, while the service runs, not before."""
        notify = self.make(WATCHDOG_USEC="4000000")
        self.clock.advance(10)
        self.assertEqual(self.told(), [])
        notify.ready()
        notify.startService()
        self.clock.pump([1] * 6)
        notify.stopService()
        self.clock.pump([1] * 6)
        self.assertEqual(self.told()[1:], [["WATCHDOG=1"]] * 4)

    def test_watchdog_of_others(self) -> None:
        """Watchdog: what is meant for another process, or for none, is none of ours."""
        for environment in ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {}):
            notify = self.make(**environment)
            notify.startService()
            self.clock.pump([1] * 20)
            notify.stopService()
        self.assertNotIn("WATCHDOG=1", self.socket.hear())

    def test_own_watchdog(self) -> None:
        """Watchdog: the time is ours where it names this process."""
        notify = self.make(WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid()))
        self.assertEqual(notify.watchdog, 4.0)

    def test_status(self) -> None:
        """Status: it is told when it has changed, and no more often than every few seconds."""
        notify = self.make()
        notify.startService()
        self.clock.pump([1] * 20)
        self.status = "very well"
        self.clock.pump([1] * 20)
        notify.stopService()
        self.assertEqual(self.told(), [["STATUS=well"], ["STATUS=very well"]])

    def test_environment(self) -> None:
        """systemd: what the environment says of it is for this process alone, and goes no further."""
        self.make(WATCHDOG_USEC="4000000", WATCHDOG_PID="1")
        self.assertEqual(self.environment, {"HOME": "/"})

    def test_without(self) -> None:
        """systemd: where there is none, nothing is told and nothing fails."""
        notify = Notify(self.clock, {})
        notify.startService()
        notify.ready()
        notify.stopping(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        notify.stopService()

    def test_gone(self) -> None:
        """systemd: that it cannot be told is logged once, and nothing fails."""
        notify = self.make()
        self.socket.__exit__(None, None, None)
        with capturedLogs() as logs:
            notify.ready()
            notify.ready()
        (event,) = logs
        self.assertIn(self.socket.address, formatEvent(event))
        self.socket = self.enterContext(NotifySocket())


class InheritedPortTests(SynchronousTestCase):
    """Sockets that systemd listens on."""

    def test_unknown(self) -> None:
        """Socket activation: a name that systemd passes no socket of is a fault with the names there are."""
        self.patch(os, "environ", os.environ | {"LISTEN_FDNAMES": "websocket:rest"})
        reactor: Any = Clock()
        fault = self.failureResultOf(InheritedPort(reactor, "api", None).listen(Factory()), LookupError)
        self.assertEqual(fault.getErrorMessage(), "systemd passes no socket of that name on: websocket, rest")
