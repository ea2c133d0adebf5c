"""What a process holds: memory and file descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footprint:
    """What a process holds at a moment.

    :param resident: bytes of its memory.
    :param descriptors: files and sockets it has open.
    """

    resident: int
    descriptors: int

    def within(self, percent: float, start: Footprint) -> bool:
        """Whether it is back where it started: no descriptor more, and memory within so many per cent."""
        return self.descriptors <= start.descriptors and self.resident <= start.resident * (1 + percent / 100)

    def __str__(self) -> str:
        return f"{self.resident / 2**20:.1f} MiB resident, {self.descriptors} descriptors"


def footprint(pid: int) -> Footprint:
    """Look at a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return Footprint(int(line.split()[1]) * 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())))
