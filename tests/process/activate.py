"""Run a command as systemd runs a service with sockets (sd_listen_fds(3)): `activate NAME=FD... -- COMMAND...`."""

from __future__ import annotations

import os
import sys

START = 3
"""The first of the file descriptors that are passed on."""

HIGH = 100


def main() -> None:
    """Put the file descriptors where they are looked for, say so, and become the command."""
    end = sys.argv.index("--")
    sockets = [each.partition("=") for each in sys.argv[1:end]]
    for number, (_, _, descriptor) in enumerate(sockets):
        os.dup2(int(descriptor), HIGH + number)
    for number in range(len(sockets)):
        os.dup2(HIGH + number, START + number)
        os.close(HIGH + number)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(sockets))
    os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _, _ in sockets)
    command = sys.argv[end + 1 :]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
