"""The access log; `tests/process/test_logs.py` has the rest of it, in real processes."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from slanger.logs import text_line
from slanger.protocol.errors import APP_NOT_FOUND, ConnectionRefused
from slanger.services.access import SHOWN, AccessLog
from tests.builders import Wire


class AccessTests(SynchronousTestCase):
    """What strangers say."""

    def test_long(self) -> None:
        """Log: long texts of strangers are cut; a head may have 16 KiB, and each request is logged."""
        access = AccessLog(Clock())
        long = "/" * 16_000
        with capturedLogs() as logs:
            access.requested("192.0.2.1", long, "/", 405, 14)
            access.requested("192.0.2.1", "GET", long, 404, 14)
            access.refused(Wire(), ConnectionRefused(APP_NOT_FOUND, long, "app_key"))
        for event in logs:
            line = text_line(event)
            assert line is not None
            self.assertIn("/" * 100, line)
            self.assertLess(len(line), SHOWN + 200)
