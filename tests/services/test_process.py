"""What the kernel says of a process."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

from prometheus_client import ProcessCollector
from twisted.trial.unittest import SynchronousTestCase

from slanger.services import process
from slanger.services.metrics import Metrics, exposition
from tests.scraping import Scrape


class ProcessTests(SynchronousTestCase):
    """This very process."""

    def test_as_prometheus(self) -> None:
        """Metrics: the process's figures have the names and kinds of Prometheus's own library, and its values."""
        ours = Scrape(exposition(Metrics(process.figures(), process.PREFIX))().decode())
        theirs = {family.name: family for family in ProcessCollector(registry=None).collect()}
        self.assertEqual({name for name in ours.families if name.startswith("process_")}, set(theirs))
        for name, family in theirs.items():
            self.assertEqual(ours.families[name].type, family.type)
            (our,), (their,) = ours.families[name].samples, family.samples
            self.assertEqual(our.name, their.name)
            self.assertLess(abs(our.value - their.value), 0.1 * their.value + 3, name)
        started = ours("process_start_time_seconds")
        self.assertLess(abs(started - theirs["process_start_time_seconds"].samples[0].value), 2)
        self.assertLess(started, time.time())

    def test_processes_alone(self) -> None:
        """Metrics, `/proc` with nothing in it but processes, as `ProcSubset=pid` has it: nothing is missing."""
        told = {each.name for each in process.figures()}
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        proc = Path(directory.name)
        (proc / "self").symlink_to("/proc/self")
        self.patch(process, "PROC", proc)
        metrics = exposition(Metrics(process.figures(), process.PREFIX))().decode()
        self.assertEqual({each.name for each in process.figures()}, told)
        self.assertGreater(Scrape(metrics)("process_resident_memory_bytes"), 1_000_000)

    def test_open_files(self) -> None:
        """Metrics: open files are counted, one by one."""
        before = process.open_files()
        opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
        self.assertEqual(process.open_files(), before + 50)
        for each in opened:
            os.close(each)
        self.assertEqual(process.open_files(), before)
        self.assertLess(before, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
