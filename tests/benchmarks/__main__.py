"""`python -m tests.benchmarks`: measure, and tell."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tests.benchmarks import machine, plot
from tests.benchmarks.faults import Fault
from tests.benchmarks.options import Plan, parse
from tests.benchmarks.report import Report
from tests.benchmarks.sitting import Cores, Sitting

_SECRET = re.compile(r"(secret[= ])[^,\s']+")
_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[\w.-]+/)*([\w.-]+/[\w.-]+)")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for.

    :returns: the exit status: 1 where deliveries were lost or something could not be measured.
    """
    plan = parse(arguments)
    try:
        return _run(plan, arguments)
    except Fault as fault:
        _tell(f"{fault}\n")
        return 1
    except KeyboardInterrupt:
        _tell("\nstopped\n")
        return 130


def _run(plan: Plan, arguments: Sequence[str]) -> int:
    if plan.plot is not None:
        plot.check(plan.plot)
    cores = Cores.split(plan.cores)
    facts, before = _facts(plan, arguments, cores), machine.busy()
    sitting = Sitting(plan.targets, plan.sizes, cores, lambda what: _tell(f"{what}\n"), fresh=plan.fresh)
    results = sitting.take(plan.workloads, plan.runs)
    busy = f"{before} processes wanted to run in the minute before, {machine.busy()} in the last"
    report = Report(
        facts={**facts, "busy": busy},
        servers=[target.name for target in plan.targets],
        workloads=plan.workloads,
        sizes=plan.sizes,
        results=results,
    )
    sys.stdout.write("\n" + report.text())
    drawn = plan.plot if plan.plot is not None and plot.draw(results, report.servers, plan.plot) else None
    report.write(plan.json, plan.rst, drawn)
    for path in filter(None, (drawn, plan.json, plan.rst)):
        sys.stdout.write(f"written: {path}\n")
    return 1 if results.faults() else 0


def _facts(plan: Plan, arguments: Sequence[str], cores: Cores) -> Mapping[str, str]:
    command = shlex.join(("python", "-m", "tests.benchmarks", *arguments))
    servers = {f"server {number}": f"{each.name}: {each.origin}" for number, each in enumerate(plan.targets, 1)}
    shared = ", which is too few to keep them apart" if cores.server & cores.load else ""
    return {
        "command": _publish(command),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        **machine.describe(),
        "cores": f"servers started here on {_list(cores.server)}, load generator on {_list(cores.load)}{shared}",
        "figures": f"median of {plan.runs} runs in turn (least … most)" if plan.runs > 1 else "one run",
        **{number: _publish(about) for number, about in servers.items()},
    }


def _publish(text: str) -> str:
    """Leave out what is nobody else's: secrets, and where on this machine a file is."""
    return _FOLDERS.sub(r"\1", _SECRET.sub(r"\1...", text))


def _list(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
