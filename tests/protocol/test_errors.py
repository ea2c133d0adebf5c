"""Codes as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol import errors
from slanger.protocol.errors import Code, Reconnect

CODES = [value for value in vars(errors).values() if isinstance(value, Code)]


class Codes(SynchronousTestCase):
    """Close codes and what clients do."""

    def test_ranges(self) -> None:
        """Close codes: the hundreds of a code say what clients do."""
        advice = {40: Reconnect.NEVER, 41: Reconnect.BACK_OFF, 42: Reconnect.AT_ONCE, 43: Reconnect.STAY}
        self.assertTrue(CODES)
        for code in CODES:
            self.assertIs(code.reconnect, advice[code.number // 100], code)

    def test_numbers(self) -> None:
        """Close codes: the numbers of the documentation."""
        self.assertEqual(
            [
                errors.APP_NOT_FOUND.number,
                errors.PATH_NOT_FOUND.number,
                errors.UNSUPPORTED_VERSION.number,
                errors.OVER_CAPACITY.number,
                errors.SHUTTING_DOWN.number,
                errors.PONG_NOT_RECEIVED.number,
                errors.CLIENT_EVENT_RATE.number,
            ],
            [4001, 4005, 4007, 4100, 4200, 4201, 4301],
        )

    def test_distinct(self) -> None:
        """No number stands for two things."""
        self.assertEqual(len({code.number for code in CODES}), len(CODES))


class Statuses(SynchronousTestCase):
    """Status codes and error bodies."""

    def test_statuses(self) -> None:
        """Status codes: each refusal of a request has its own."""
        self.assertEqual(
            [
                errors.BadRequest("x").status,
                errors.Unauthorized("x").status,
                errors.NotFound().status,
                errors.TooLarge("x").status,
            ],
            [400, 401, 404, 413],
        )

    def test_not_found(self) -> None:
        """Status codes: an unknown path is answered as the hosted service does."""
        self.assertEqual(errors.NotFound().message, "404 NOT FOUND")
