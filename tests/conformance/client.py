"""The fuzzing client of the ported suite, against one server that echoes.

Run in the suite's own environment: ``client.py URL FOLDER CASE...``. A case is a pattern such as ``6.*``; one that
begins with ``-`` leaves cases out. On stdout is JSON: which cases were `wanted`, the suite's `results` for each, and
`faults`, the errors of the suite itself, which must not pass for those of the server. `FOLDER` gets a page
for each case.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import txaio

txaio.use_twisted()

from autobahntestsuite import fuzzing  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.python import log  # noqa: E402


def run(url: str, folder: str, *cases: str) -> dict[str, Any]:
    """Run some cases, and give what came of them."""
    faults: list[str] = []

    def note(event: dict[str, Any]) -> None:
        if event.get("isError"):
            faults.append(log.textFromEventDict(event) or repr(event))

    log.addObserver(note)
    factory = fuzzing.FuzzingClientFactory(
        {
            "outdir": folder,
            "servers": [{"url": url, "agent": "server"}],
            "cases": [case for case in cases if not case.startswith("-")],
            "exclude-cases": [case[1:] for case in cases if case.startswith("-")],
            "exclude-agent-cases": {},
        }
    )
    if factory.specCases:
        reactor.run()
    index = Path(folder, "index.json")
    results = json.loads(index.read_text(encoding="utf-8")).get("server", {}) if index.exists() else {}
    return {"wanted": factory.specCases, "results": results, "faults": faults}


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr  # the suite tells its progress
    json.dump(run(*sys.argv[1:]), out)
