"""``python -m tests.sdk.scorecard [SDK ...]`` scores the SDKs, each at several versions.

An SDK is named by its package, such as ``pusher-js``. Without any all are scored, and the page in the documentation is
written. The exit status is 1 if a version fails at what it has.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.table import grid
from tests.sdk.scorecard.install import InstallFailed, newest
from tests.sdk.scorecard.score import Row, score
from tests.sdk.scorecard.versions import CLIENT_FEATURES, CLIENTS, SERVER_FEATURES, SERVERS, Scored

PAGE = Path(__file__).parents[3] / "docs" / "compatibility" / "index.rst"

HEAD = """\
.. written by: python -m tests.sdk.scorecard

Compatibility
=============

Official clients and server SDKs, driven by the tests against a real server: at the oldest version that we claim, at
some between, and at the newest. "yes" means that every test of that feature has passed with that version; "—" that this
version of the SDK does not have the feature, or that there is nothing of its own to test.

Run it again with ``python -m tests.sdk.scorecard``, in the environment of the tests; it installs the older versions in
folders of their own, ends with 1 where one fails, and writes this page. The ordinary tests, which run before each
change lands, are the same at the newest versions, and there are more of them than the features in these tables.

"""

FOOT = """
What the Java, Swift, .NET and other clients and the PHP, Ruby, Go, Java and .NET server SDKs need is built in, by their
sources (:doc:`../howto/clients`); they come from registries that the tests do not reach, and so are not scored here.
"""


def page(rows: Sequence[Row]) -> str:
    """Write the page."""
    text = HEAD
    for title, sdks, features in (("Clients", CLIENTS, CLIENT_FEATURES), ("Server SDKs", SERVERS, SERVER_FEATURES)):
        table: list[Sequence[str]] = [("SDK", "version", *features)]
        table += [
            (row.sdk.name, row.version, *(row.cells.get(feature, "—") for feature in features))
            for row in rows
            if row.sdk in sdks
        ]
        text += f"{title}\n{'-' * len(title)}\n\n{grid(table)}\n"
    return text.rstrip() + "\n" + FOOT


def scored(sdk: Scored) -> list[Row]:
    """Score all versions of an SDK, and tell of each."""
    rows = []
    for version in (*sdk.versions, newest(sdk)):
        row = score(sdk, version)
        rows.append(row)
        sys.stdout.write(f"{sdk.name} {version}: {', '.join(f'{name} {cell}' for name, cell in row.cells.items())}\n")
        sys.stdout.write(row.said)
        sys.stdout.flush()
    return rows


def main(names: Sequence[str]) -> int:
    """Score; give the exit status."""
    if "--help" in names:
        sys.stdout.write(__doc__)
        return 0
    every = (*CLIENTS, *SERVERS)
    packages = dict.fromkeys(sdk.package for sdk in every)
    unknown = set(names).difference(packages)
    if unknown:
        sys.stderr.write(f"No such SDK: {', '.join(unknown)}; there are {', '.join(packages)}\n")
        return 2
    try:
        rows = [row for sdk in every if not names or sdk.package in names for row in scored(sdk)]
    except InstallFailed as fault:
        sys.stderr.write(f"A version could not be installed: {fault}\n")
        return 1
    if not names:
        PAGE.write_text(page(rows), encoding="utf-8")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
