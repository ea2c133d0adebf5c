"""Why connections fail, in words."""

from __future__ import annotations

import errno
import os
import socket

from OpenSSL import SSL
from twisted.internet import defer, error
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from slanger.reasons import reason_of


class Reasons(SynchronousTestCase):
    """Faults as Twisted makes them."""

    def assert_said(self, fault: BaseException, said: str) -> None:
        """Check what is said of a fault, by itself and where a request failed by it."""
        self.assertEqual(reason_of(Failure(fault)), said)
        self.assertEqual(reason_of(Failure(ResponseNeverReceived([Failure(fault)]))), said)

    def test_system(self) -> None:
        """Reasons: what the system says is said once, without its number."""
        for number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOENT):
            said = os.strerror(number)
            self.assert_said(error.getConnectError((number, said)), said)
        self.assert_said(error.getConnectError(socket.gaierror(-2, "Name not known")), "Name not known")
        self.assert_said(OSError("no such thing"), "no such thing")

    def test_time(self) -> None:
        """Reasons: who does not answer in time is said not to, whichever part of Twisted noticed."""
        clock, waiting = Clock(), defer.Deferred[None]()
        waiting.addTimeout(1, clock)
        clock.advance(1)
        for fault in (error.TimeoutError(), defer.CancelledError(), self.failureResultOf(waiting).value):
            self.assert_said(fault, "no answer in time")

    def test_closed(self) -> None:
        """Reasons: a connection that was closed, in good order or not."""
        for fault in (error.ConnectionDone(), error.ConnectionLost()):
            self.assert_said(fault, "the other side closed the connection")

    def test_tls(self) -> None:
        """Reasons: of a fault of TLS the words are said, not the lists around them."""
        verifying = ("SSL routines", "", "certificate verify failed")
        self.assert_said(SSL.Error([verifying]), "certificate verify failed")
        self.assert_said(SSL.Error([verifying, ("", "", "and more")]), "certificate verify failed; and more")

    def test_wordless(self) -> None:
        """Reasons: a fault that says nothing has its name said; a sentence loses its full stop."""
        self.assert_said(SSL.Error(), "Error")
        self.assert_said(ValueError(), "ValueError")
        self.assert_said(error.ConnectError(), "An error occurred while connecting")
        self.assert_said(error.DNSLookupError("no host a"), "DNS lookup failed: no host a")
