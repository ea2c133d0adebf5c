"""What counts as a failure, and the page that is made of it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance import table
from tests.conformance.port import Unexpected, fixed
from tests.conformance.verdict import Verdict, judge


def said(**more: Any) -> Verdict:
    """Judge what the suite says of two cases, the second as given."""
    second = {"behavior": "OK", "behaviorClose": "OK"} | more
    results = {"1.1.1": {"behavior": "OK", "behaviorClose": "OK"}, "7.1.1": second}
    return judge({"wanted": ["1.1.1", "7.1.1"], "results": results, "faults": []})


class VerdictTests(SynchronousTestCase):
    """Reading what the suite says."""

    def test_holds(self) -> None:
        """A server holds where each case has passed, or was left open or only advised by the standard."""
        for behaviour in ("OK", "NON-STRICT", "INFORMATIONAL"):
            self.assertTrue(said(behavior=behaviour, behaviorClose=behaviour).holds)

    def test_failed(self) -> None:
        """A case has failed where its behaviour is wrong, or the way the connection ended."""
        for behaviour in ("FAILED", "UNIMPLEMENTED", "UNKNOWN"):
            self.assertEqual(said(behavior=behaviour).failed, ["7.1.1"])
        for end in ("FAILED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT"):
            self.assertEqual(said(behaviorClose=end).failed, ["7.1.1"])
            self.assertFalse(said(behaviorClose=end).holds)

    def test_not_run(self) -> None:
        """Nothing holds where a case was not run, where none was, or where the suite itself has failed."""
        results = {"1.1.1": {"behavior": "OK", "behaviorClose": "OK"}}
        self.assertTrue(judge({"wanted": ["1.1.1"], "results": results, "faults": []}).holds)
        self.assertFalse(judge({"wanted": ["1.1.1", "1.1.2"], "results": results, "faults": []}).holds)
        self.assertFalse(judge({"wanted": ["1.1.1"], "results": results, "faults": ["boom"]}).holds)
        self.assertFalse(judge({"wanted": [], "results": {}, "faults": []}).holds)

    def test_page(self) -> None:
        """The page counts the outcomes of each group on each way."""
        page = table.page({"short": said(), "long": said(behavior="FAILED"), "handed-over": said()})
        self.assertRegex(page, r"\n7, closing +1 +1 passed +1 failed +1 passed\n")


class PortTests(SynchronousTestCase):
    """Porting the suite."""

    def test_other_release(self) -> None:
        """A source that is not the one the fixes are for is refused, and not ported wrongly."""
        self.assertEqual(fixed("a b", [("a", "c")], "file"), "c b")
        for source in ("b", "a a"):
            self.assertRaises(Unexpected, fixed, source, [("a", "c")], "file")
