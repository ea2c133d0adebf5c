"""The page that tells of the limits."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import slanger
from slanger.settings import OPTIONS
from slanger.tallies import Tallies, Tally

PAGE = Path(slanger.__file__).parent.parent / "docs" / "operations" / "limits.rst"
NO_LIMITS = {
    "drain-seconds",
    "tls-watch-seconds",
    "termination-code",
    "node-lease",
    "replay-events",
    "publish-buffer-bytes",
    "workers",
    "activity-timeout",
    "pong-timeout",
    "cache-ttl",
    "cache-bytes",
    "authorization-timeout",
    "watchlist-users",
}
"""Numbers that are told of elsewhere: they bound nothing that a client or an app is refused for."""

TAKEN = re.compile(r'^     (\w+)\{(\w+)="(\w+)"\}$', re.MULTILINE)


class LimitsPageTests(SynchronousTestCase):
    """`docs/operations/limits.rst`, held against the code."""

    def setUp(self) -> None:
        """Read it."""
        self.page = PAGE.read_text(encoding="utf-8")

    def test_every_limit(self) -> None:
        """Limits: each option that limits something stands on the page once, and nothing that is no option."""
        named = re.findall(r"^   ([a-z][a-z-]+)$", self.page, re.MULTILINE)
        self.assertEqual(len(named), len(set(named)))
        numbers = {option.name for option in OPTIONS if option.number}
        self.assertEqual(set(named), numbers - NO_LIMITS | {"origins"})

    def test_metrics(self) -> None:
        """Limits: each metric is one that is kept, with a label that it has, and a value that the code counts by."""
        tallies = {name: tally for name, tally in vars(Tallies()).items() if isinstance(tally, Tally)}
        code = "".join(path.read_text(encoding="utf-8") for path in Path(slanger.__file__).parent.rglob("*.py"))
        metrics = TAKEN.findall(self.page)
        self.assertGreater(len(metrics), 20)
        for name, label, value in metrics:
            self.assertIn(label, tallies[name].labels)
            self.assertTrue(f'"{value}"' in code or f"status = {value}" in code, value)
