"""What goes wrong in a benchmark, in one sentence."""

from __future__ import annotations


class Fault(Exception):
    """A workload, or all of them, cannot be run; the text says why, and what would help."""
