"""A real process under abuse, for ten seconds."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.abuse.scene import play
from tests.sdk.case import running_driver
from tests.server import Server


class AbuseTests(SynchronousTestCase):
    """One bad client hurts itself at most, and so do many."""

    def test_bystanders(self) -> None:
        """Abuse of sixteen kinds at once costs official clients no event, and the process nothing that stays."""
        driver = running_driver()
        self.addCleanup(driver.forget)
        with Server() as server:
            outcome = play(driver, server, 10)
        self.assertEqual(outcome.complaints, [], str(outcome))
