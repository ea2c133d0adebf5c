"""``python -m tests.fuzzing [TARGET ...] [--runs NUMBER]`` fuzzes each target, with a million inputs by default.

Without a target all are run, and the page in the documentation is written, unless all were less than a million. What is
found is kept in `--findings`; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzzing import report
from tests.fuzzing.inputs import SEEDS, WORDS
from tests.fuzzing.report import Figures
from tests.fuzzing.targets import TARGETS

MILLION = 1_000_000
LONGEST = 2048
"""Bytes of an input."""

PATIENCE = 20
"""Seconds after which an input that is not done with is a finding."""


def fuzz(name: str, runs: int, findings: Path) -> Figures:
    """Fuzz one target, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        seeds, words = Path(folder, "seeds"), Path(folder, "words")
        seeds.mkdir()
        for number, seed in enumerate(SEEDS[name]):
            (seeds / str(number)).write_bytes(seed)
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS[name]), encoding="ascii")
        limits = (f"-runs={runs}", f"-max_len={LONGEST}", f"-timeout={PATIENCE}")
        options = (*limits, f"-dict={words}", f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1")
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzzing.worker", name, *options, str(seeds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = ended.stdout.decode(errors="replace")
    if ended.returncode:
        sys.stdout.write(f"{name}: ended with {ended.returncode}\n{said[-6000:]}\n")
    figures = report.figures(said, found=ended.returncode != 0)
    sys.stdout.write(f"{name}: {figures}\n")
    sys.stdout.flush()
    return figures


def _escaped(word: bytes | str) -> str:
    data = word.encode() if isinstance(word, str) else word
    return "".join(f"\\x{byte:02x}" for byte in data)


def main(arguments: Sequence[str]) -> int:
    """Fuzz; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description="Fuzz what reads bytes of others.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--runs", type=int, default=MILLION, help="inputs for each target [%(default)s]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time [%(default)s]")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="where inputs are kept [%(default)s]")
    given = parser.parse_args(arguments)
    unknown = set(given.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    given.findings.mkdir(exist_ok=True)
    names = given.targets or list(TARGETS)
    with ThreadPoolExecutor(given.jobs) as pool:
        all_figures = dict(
            zip(names, pool.map(lambda name: fuzz(name, given.runs, given.findings), names), strict=True)
        )
    if not given.targets and given.runs * len(names) >= MILLION:
        report.PAGE.write_text(report.page(all_figures), encoding="utf-8")
    found = any(each.findings or each.executed < given.runs for each in all_figures.values())
    if not found and not any(given.findings.iterdir()):
        given.findings.rmdir()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
