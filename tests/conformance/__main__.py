"""``python -m tests.conformance [CASE ...]`` tells whether the transport keeps to the WebSocket standard.

Without arguments all groups are run, on each way, and the page in the documentation is written. A case is a pattern
such as ``7.*``, for a look at some of them; one that begins with ``-`` leaves cases out. The exit status is 1 if any
fails.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.conformance import table
from tests.conformance.build import BuildFailed, Suite, suite
from tests.conformance.verdict import GROUPS, Verdict, ask
from tests.ports import free_port, listens
from tests.server import wait_for


@contextmanager
def echo(way: str) -> Iterator[str]:
    """Run the echo, and give its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.transports.echo", str(port), way])
    try:
        wait_for("the echo", lambda: listens(port))
        yield f"ws://127.0.0.1:{port}/app/echo"
    finally:
        process.terminate()
        process.wait()


def verdict_on(way: str, judge: Suite, cases: Sequence[str]) -> Verdict:
    """Have the suite judge one way."""
    with echo(way) as url:
        return ask(judge, url, cases)


def main(cases: Sequence[str]) -> int:
    """Run the suite; give the exit status."""
    if "--help" in cases:
        sys.stdout.write(__doc__)
        return 0
    try:
        judge = suite()
    except BuildFailed as fault:
        sys.stderr.write(f"The suite could not be had: {fault}\n")
        return 1
    wanted = cases or [f"{group}.*" for group in GROUPS]
    with ThreadPoolExecutor() as pool:  # it waits more than it works
        verdicts = dict(zip(table.WAYS, pool.map(lambda way: verdict_on(way, judge, wanted), table.WAYS), strict=True))
    for way, verdict in verdicts.items():
        sys.stdout.write(f"{way}: {len(verdict.outcomes)} cases, {len(verdict.failed)} failed\n")
        sys.stdout.writelines(f"  failed: case {case}\n" for case in verdict.failed)
        sys.stdout.writelines(f"  {fault}\n" for fault in verdict.faults)
    if not cases:
        table.PAGE.write_text(table.page(verdicts), encoding="utf-8")
    return 0 if all(verdict.holds for verdict in verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
