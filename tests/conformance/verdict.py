"""What the suite says about a server, and what of it is a failure."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.build import Suite

GROUPS: Mapping[str, str] = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits: up to 16 MiB in a message",
    "10": "auto-fragmentation",
}
"""Groups of cases that must hold. 8 has none; 12 and 13 are compression, which is not offered."""

PASSED, NON_STRICT, INFORMATIONAL, FAILED = "passed", "non-strict", "informational", "failed"
OUTCOMES = (PASSED, NON_STRICT, INFORMATIONAL, FAILED)

_OUTCOME = {"OK": PASSED, "NON-STRICT": NON_STRICT, "INFORMATIONAL": INFORMATIONAL}


@dataclass(frozen=True)
class Verdict:
    """What came of the cases on one way.

    :param outcomes: by case, one of `OUTCOMES`.
    :param faults: errors of the suite itself, and cases that it did not run; there must be none.
    """

    outcomes: Mapping[str, str]
    faults: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether there were cases, none of them failed, and all were run."""
        return bool(self.outcomes) and not self.failed and not self.faults

    @property
    def failed(self) -> list[str]:
        """Name the cases that failed."""
        return sorted((case for case, outcome in self.outcomes.items() if outcome == FAILED), key=_order)

    def count(self, group: str) -> Counter[str]:
        """Count the outcomes of a group."""
        return Counter(outcome for case, outcome in self.outcomes.items() if case.partition(".")[0] == group)


def judge(said: Mapping[str, Any]) -> Verdict:
    """Read what the suite's client says.

    A case has failed where its behaviour has, or where the connection was not closed as the case demands: by the wrong
    side, without a closing handshake, with another code, or by the client, because the server left it open.
    """
    results = said["results"]
    missing = [f"case {case} was not run" for case in said["wanted"] if case not in results]
    return Verdict({case: _outcome(result) for case, result in results.items()}, [*said["faults"], *missing])


def _outcome(result: Mapping[str, str]) -> str:
    behaviour = _OUTCOME.get(result["behavior"], FAILED)
    return behaviour if result["behaviorClose"] in _OUTCOME else FAILED


def ask(suite: Suite, url: str, cases: Iterable[str]) -> Verdict:
    """Have the suite judge the server at a URL."""
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            suite.command("client.py", url, str(Path(folder, "reports")), *cases),
            env=suite.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode:
        return Verdict({}, [f"the suite ended with {ended.returncode}: {ended.stderr[-2000:]}"])
    return judge(json.loads(ended.stdout))


def _order(case: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", case)]
