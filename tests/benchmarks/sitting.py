"""One sitting: all workloads on all servers, in turn, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from tests.benchmarks.faults import Fault
from tests.benchmarks.figures import Results
from tests.benchmarks.load import Load, Sizes
from tests.benchmarks.loop import Loop
from tests.benchmarks.processes import raise_file_limit
from tests.benchmarks.targets import Serving, Target
from tests.benchmarks.workloads import Workload

SPARE = 200
"""Files that are open beside the connections."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the servers that are started here, and of the load generator."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def split(cls, server: frozenset[int] | None = None) -> Cores:
        """Share out the cores there are: one for the servers unless told, the others for the load.

        :raises Fault: those that are wanted are not there.
        """
        there = frozenset(os.sched_getaffinity(0))
        if server is not None and not server <= there:
            raise Fault(f"there are no cores {sorted(server - there)}; those of this process are {sorted(there)}")
        server = server or frozenset(sorted(there)[:1])
        return cls(server, there - server or there)


class Sitting:
    """Takes the turns.

    :param fresh: whether each workload meets a server that was started for it, where it can be started.
    :param tell: is told, in a few words, what is done now.
    """

    def __init__(
        self, targets: Sequence[Target], sizes: Sizes, cores: Cores, tell: Callable[[str], None], *, fresh: bool = True
    ) -> None:
        self._targets = tuple(targets)
        self._sizes = sizes
        self._cores = cores
        self._tell = tell
        self._fresh = fresh
        self._kept: dict[str, Serving] = {}
        self._stack = ExitStack()

    def take(self, workloads: Sequence[Workload], runs: int) -> Results:
        """Run everything.

        :raises Fault: nothing of it can be run.
        """
        files = raise_file_limit()
        if files < self._sizes.most + SPARE:
            raise Fault(
                f"{self._sizes.most:,} connections need {self._sizes.most + SPARE:,} open files, and this process may "
                f"have {files:,}: raise that with ulimit -n, or ask for fewer with --connections and --curve"
            )
        results = Results()
        given_up: set[tuple[str, str]] = set()
        os.sched_setaffinity(0, self._cores.load)
        gc.freeze()
        with self._stack:
            for run in range(runs):
                for workload in workloads:
                    for target in self._targets if not run % 2 else reversed(self._targets):
                        turn = workload.name, target.name
                        if turn in given_up:
                            continue
                        self._tell(f"run {run + 1} of {runs}: {workload.name}, {target.name}")
                        try:
                            self._measure(workload, target, results)
                        except Fault as fault:
                            given_up.add(turn)
                            results.failures.append(f"{target.name}, {workload.name}: not measured, {fault}")
        return results

    def _measure(self, workload: Workload, target: Target, results: Results) -> None:
        with self._serving(target) as serving, Loop() as loop:
            if serving.processes is not None and (files := serving.processes.files()) < self._sizes.most:
                raise Fault(
                    f"{self._sizes.most:,} connections need as many open files, and the server may have {files:,}"
                )
            gc.disable()
            try:
                load = Load(loop, serving, self._sizes)
                results.add(workload.name, target.name, workload.measure(load))
            finally:
                gc.enable()
                gc.collect()
            results.failures += [f"{target.name}, {workload.name}: {remark}" for remark in load.remarks]

    def _serving(self, target: Target) -> AbstractContextManager[Serving]:
        if self._fresh or not target.starts:
            return target.serving(self._cores.server)
        if target.name not in self._kept:
            self._kept[target.name] = self._stack.enter_context(target.serving(self._cores.server))
        return nullcontext(self._kept[target.name])
