"""The page about conformance, in the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.build import SUITE
from tests.conformance.verdict import FAILED, GROUPS, INFORMATIONAL, NON_STRICT, PASSED, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.rst"

WAYS = {
    "short": "our own reader, and Autobahn from the first byte on that is not plain: what a server does",
    "long": "Autobahn reads all, the opening handshake included",
    "handed-over": "our own reader takes the handshake, Autobahn all the rest",
}
"""Each way that bytes may go, as `tests.transports.echo` names them, and what it is."""

HEAD = """\
.. written by: python -m tests.conformance

WebSocket conformance
=====================

What the Autobahn test suite ({suite}) says about the transport, on each way that the bytes
of a connection may go (:doc:`../design/index`, "The short way"). The echo that it speaks to is made of the server's own
classes. A case counts as failed, too, where the connection was not closed by the side, in the way and with the code
that it demands.

Run it again with ``python -m tests.conformance``, in the environment of the tests; it takes less than two minutes, ends
with 1 where a case fails, and writes this page.

"""

TAIL = """
"Informational" are cases for which the standard leaves the behaviour open. Groups 12 and 13 are about compression,
which is not offered. The suite says nothing of unmasked frames and bad opening handshakes; ``tests/transports`` does,
and the ``websockets`` library is a second judge (``tests/transports/test_second_judge.py``).
"""


def page(verdicts: Mapping[str, Verdict]) -> str:
    """Write the page about the verdicts on each way."""
    rows: list[Sequence[str]] = [("group", "cases", *WAYS)]
    for group, about in GROUPS.items():
        counts = {way: verdicts[way].count(group) for way in WAYS}
        total = max(count.total() for count in counts.values())
        rows.append((f"{group}, {about}", str(total), *(_told(count) for count in counts.values())))
    ways = "".join(f"* *{way}*: {what}.\n" for way, what in WAYS.items())
    return HEAD.format(suite=SUITE.replace("-", " ")) + ways + "\n" + grid(rows) + TAIL


def _told(count: Mapping[str, int]) -> str:
    told = [f"{count[outcome]} {outcome}" for outcome in (PASSED, NON_STRICT, INFORMATIONAL, FAILED) if count[outcome]]
    return ", ".join(told)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Write a simple table; the first row is its head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])
