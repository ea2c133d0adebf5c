"""Why the server does not start."""

from __future__ import annotations

import sys


class StartupFault(SystemExit, Exception):
    """A fault at start, in one sentence.

    It is a `SystemExit`, so that Python prints the sentence, and no traceback, to stderr and exits with 1. It is an
    `Exception`, so that twistd removes its pid file and tells the process that waits for the daemon.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = f"slanger: {sentence}"

    def tell(self) -> StartupFault:
        """Print the sentence to the process's own stderr, which the log has taken over by now."""
        print(self.code, file=sys.__stderr__)
        return self
