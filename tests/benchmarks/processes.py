"""What processes use, and what they may use; Linux tells it below /proc."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.benchmarks.faults import Fault

_PROC = Path("/proc")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NANO = 1e-9
_FILES = re.compile(r"^Max open files +(\d+)", re.MULTILINE)


class Processes:
    """A server's processes, with all their children.

    :param pids: of those that were started; their children are found anew at each look.
    :raises Fault: one is not there.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        for pid in self._pids:
            if not (_PROC / str(pid)).exists():
                raise Fault(f"there is no process {pid} on this machine; give the server's own, or leave the pid out")

    def cpu(self) -> float:
        """Tell the seconds of CPU they have used, of their system calls too."""
        return sum(_cpu(process) for process in self._all())

    def resident(self) -> int:
        """Tell the bytes of memory they occupy; what they share counts for each."""
        return sum(int((process / "statm").read_text().split()[1]) * _PAGE for process in self._all())

    def cores(self) -> list[int]:
        """Tell which cores they may run on."""
        return sorted(set().union(*(os.sched_getaffinity(pid) for pid in self._pids)))

    def files(self) -> int:
        """Tell how many files each of them may open."""
        limits = (_FILES.search((_PROC / str(pid) / "limits").read_text()) for pid in self._pids)
        return min((int(limit[1]) for limit in limits if limit), default=sys.maxsize)

    def _all(self) -> Iterator[Path]:
        waiting = list(self._pids)
        while waiting:
            process = _PROC / str(waiting.pop())
            try:
                tasks = list((process / "task").iterdir())
            except OSError:
                continue  # it has ended
            yield process
            for task in tasks:
                children = task / "children"
                if children.exists():
                    waiting += map(int, children.read_text().split())


def _cpu(process: Path) -> float:
    """Add up the nanoseconds of the threads; where the kernel does not count them, the ticks of 10 ms."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir()) * _NANO
    except OSError:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK


def raise_file_limit() -> int:
    """Allow this process, and the servers it starts, as many open files as the system lets it; tell how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
