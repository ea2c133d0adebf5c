"""The page about fuzzing, in the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.table import grid
from tests.fuzzing.targets import TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fuzzing.rst"

HEAD = """\
.. written by: python -m tests.fuzzing

Fuzzing
=======

What reads bytes of others is given any by a fuzzer that watches which code they reach (Atheris, which is libFuzzer for
Python). A finding is any exception, and whatever the server would log as a failure. Each target begins with valid
inputs; some of what follows are those with values changed, the others are changed byte by byte.

Run it again with ``pip install -e '.[test,fuzz]'`` and ``python -m tests.fuzzing [TARGET ...] [--runs NUMBER]``. It
ends with 1 where something is found, and keeps the input. The ordinary tests give each target some hundred inputs of
Hypothesis; the tests of each room have properties of their own. ``python -m tests.fuzzing.schema`` sends random
requests after the OpenAPI description (:doc:`rest`) to a real server.

"""

FOOT = """
"Reached" counts the branches of slanger's own code that the inputs have led to; "inputs kept" are those that reached
something new.
"""

_STATE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


@dataclass(frozen=True)
class Figures:
    """What came of fuzzing one target."""

    executed: int
    reached: int
    kept: int
    findings: int


def figures(said: str, *, found: bool) -> Figures:
    """Read what libFuzzer said at its end."""
    states, executed = _STATE.findall(said), _EXECUTED.findall(said)
    reached, _, kept = states[-1] if states else ("0", "", "0")
    return Figures(int(executed[-1]) if executed else 0, int(reached), int(kept), int(found))


def page(all_figures: Mapping[str, Figures]) -> str:
    """Write the page."""
    rows = [("target", "inputs", "reached", "inputs kept", "findings")]
    rows += [
        (f"``{name}``", f"{each.executed:,}", f"{each.reached:,}", f"{each.kept:,}", str(each.findings))
        for name, each in all_figures.items()
    ]
    about = "".join(f"* ``{name}``: {' '.join((make.__doc__ or '').split())}\n" for name, make in TARGETS.items())
    return HEAD + about + "\n" + grid(rows) + FOOT
