"""One process that fuzzes one target with Atheris: ``python -m tests.fuzzing.worker TARGET LIBFUZZER-OPTION...``.

Only slanger's own code is watched for what inputs reach; to watch Twisted and Autobahn, too, would cost most speed.
"""

from __future__ import annotations

import sys
from typing import cast

import atheris
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner

with atheris.instrument_imports(include=["slanger"]):
    from tests.fuzzing.mutation import mutate
    from tests.fuzzing.targets import TARGETS

MUTATED = 4
"""One in so many inputs is a valid one with values changed; the others are changed byte by byte, which is faster."""

_failures: list[str] = []


def _note(event: LogEvent) -> None:
    if "log_failure" in event:
        _failures.append(event["log_failure"].getTraceback())


def main(name: str, options: list[str]) -> None:
    """Fuzz until libFuzzer's options say that it is enough; it ends the process."""
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, _note)], redirectStandardIO=False)
    target = TARGETS[name]()

    def run(data: bytes) -> None:
        target(data)
        if _failures:
            raise AssertionError(_failures.pop())

    def change(data: bytes, longest: int, seed: int) -> bytes:
        changed = None if seed % MUTATED else mutate(data, seed)
        if changed is None or len(changed) > longest:
            changed = atheris.Mutate(data, longest)
        return changed

    atheris.Setup([sys.argv[0], *options], run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
