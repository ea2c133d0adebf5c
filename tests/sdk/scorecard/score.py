"""Running the tests of one version, and what came of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.sdk.scorecard.install import environment
from tests.sdk.scorecard.versions import Scored, number

SDK = Path(__file__).parents[1]
PASSED, FAILED, NOT_THERE = "yes", "FAILED", "—"


@dataclass(frozen=True)
class Row:
    """One version of one SDK.

    :param cells: by feature; what is `NOT_THERE` the version does not have.
    :param said: by the tests that failed.
    """

    sdk: Scored
    version: str
    cells: Mapping[str, str]
    said: str

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return FAILED not in self.cells.values()


def score(sdk: Scored, version: str) -> Row:
    """Run the tests of each feature that a version has."""
    asked = {name: each for name, each in sdk.features.items() if number(version) >= number(each.since)}
    tests = list(dict.fromkeys(test for each in asked.values() for test in each.tests))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        ended = subprocess.run(
            [*pytest, *(str(SDK / test) for test in tests)],
            env=environment(sdk, version),
            cwd=SDK.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        outcomes = read(report.read_text(encoding="utf-8")) if report.exists() else {}
    cells = dict.fromkeys(sdk.features, NOT_THERE)
    for name, feature in asked.items():
        cells[name] = PASSED if all(holds(outcomes, test) for test in feature.tests) else FAILED
    return Row(sdk, version, cells, ended.stdout if FAILED in cells.values() else "")


def read(report: str) -> dict[str, bool]:
    """Read a report of pytest: whether each test has passed, by a name such as ``test_file.py::Group::test_it``."""
    outcomes = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        *_, file, group = case.attrib["classname"].split(".")
        outcomes[f"{file}.py::{group}::{case.attrib['name']}"] = not len(case)
    return outcomes


def holds(outcomes: Mapping[str, bool], test: str) -> bool:
    """Whether a test has passed, or all of a group; where none was run, it has not."""
    found = [passed for name, passed in outcomes.items() if name == test or name.startswith(f"{test}::")]
    return bool(found) and all(found)
