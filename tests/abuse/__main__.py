"""``python -m tests.abuse [--seconds NUMBER] [--option OPTION ...]`` has a real process abused, and tells how it went.

Well-behaved official clients must lose nothing, and the process must hold no more in the end than at the start, after a
warm-up of a quarter of the time. The exit status is 1 otherwise.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence

from tests.abuse.scene import play
from tests.sdk.driver import Driver
from tests.server import Server

DESCRIPTORS = 20_000


def main(arguments: Sequence[str]) -> int:
    """Play the scene; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description="A real process under abuse.")
    parser.add_argument("--seconds", type=float, default=120, help="how long, after the warm-up [%(default)s]")
    parser.add_argument(
        "--option", action="append", default=[], help="an option of slanger, such as --option=--workers=2"
    )
    given = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most), most))
    with Driver() as driver, Server(*given.option) as server:
        outcome = play(driver, server, given.seconds)
    sys.stdout.write(str(outcome))
    sys.stdout.writelines(f"WRONG: {complaint}\n" for complaint in outcome.complaints)
    return 1 if outcome.complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
