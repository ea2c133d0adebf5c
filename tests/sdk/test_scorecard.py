"""What the scorecard makes of pytest's reports, and that it names tests that are there."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.sdk.scorecard.__main__ import page
from tests.sdk.scorecard.install import newest
from tests.sdk.scorecard.score import FAILED, PASSED, Row, holds, read
from tests.sdk.scorecard.versions import CLIENT_FEATURES, CLIENTS, SERVER_FEATURES, SERVERS, number

REPORT = """
<testsuites><testsuite>
<testcase classname="tests.sdk.test_one.Group" name="test_good" />
<testcase classname="tests.sdk.test_one.Group" name="test_bad"><failure message="no" /></testcase>
<testcase classname="tests.sdk.test_one.Other" name="test_good" />
</testsuite></testsuites>
"""


class ScoreTests(SynchronousTestCase):
    """Scores are what the tests say."""

    def test_holds(self) -> None:
        """A feature holds where each of its tests has passed, and at least one was run."""
        outcomes = read(REPORT)
        for test, verdict in (
            ("test_one.py::Group::test_good", True),
            ("test_one.py::Group::test_bad", False),
            ("test_one.py::Group", False),
            ("test_one.py::Other", True),
            ("test_one.py::Oth", False),
            ("test_two.py::Group", False),
        ):
            self.assertEqual(holds(outcomes, test), verdict, test)

    def test_page(self) -> None:
        """The page tells each version's features, and what failed."""
        sdk = CLIENTS[0]
        row = Row(sdk, "9.9", {"connect": PASSED, "public": FAILED}, "")
        self.assertFalse(row.holds)
        self.assertRegex(page([row]), r"\npusher-js +9\.9 +yes +FAILED +—")

    def test_named(self) -> None:
        """Each test that is named is there, each feature has a column, and the newest version is the newest."""
        here = Path(__file__).parent
        for sdk in (*CLIENTS, *SERVERS):
            self.assertLessEqual(set(sdk.features), {*CLIENT_FEATURES, *SERVER_FEATURES})
            self.assertLess(max(map(number, sdk.versions)), number(newest(sdk)))
            for test in (test for feature in sdk.features.values() for test in feature.tests):
                file, group, *name = test.split("::")
                sources = (here / file).read_text(encoding="utf-8") + (here / "contract.py").read_text(encoding="utf-8")
                self.assertIn(f"class {group}(", sources)
                self.assertIn(f"def {name[0]}(" if name else f"class {group}(", sources, test)
