"""The command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.faults import Fault
from tests.benchmarks.load import Sizes
from tests.benchmarks.targets import Address, Other, Slanger, Target, written
from tests.benchmarks.workloads import WORKLOADS, Workload

RUNS = 5
QUICK = Sizes(
    subscribers=100, connections=500, channels=50, curve=(10, 100), members=100, seconds=0.5, idle=1.0, rate=20.0
)
"""To see whether it works; the figures are none to compare."""

PAYLOADS = range(16, 10_001)
"""Bytes of data an event can have: room for its index, and no more than servers take."""

_KEYS = ("name", "ws", "api", "key", "secret", "app-id", "pid", "start")
_NEEDED = ("ws", "key", "secret", "app-id")
_BETWEEN = re.compile(rf"\s*,\s*(?=(?:{'|'.join(_KEYS)})=)")
_PORTS = {"ws": 80, "http": 80}
_PRESENCE_MEMBERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for.

    :param cores: of servers that are started here; None for the first.
    :param fresh: whether each workload meets a fresh server, where it can be started.
    """

    targets: tuple[Target, ...]
    workloads: tuple[Workload, ...]
    sizes: Sizes
    runs: int
    fresh: bool
    cores: frozenset[int] | None
    plot: Path | None
    json: Path | None
    rst: Path | None


def parse(arguments: Sequence[str]) -> Plan:
    """Read the command line; what is wrong with it is told on stderr, and the process exits with 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return _plan(given)
    except Fault as fault:
        parser.error(str(fault))


def _plan(given: argparse.Namespace) -> Plan:
    sizes = QUICK if given.quick else Sizes()
    wanted = {name: value for name in Sizes.__slots__ if (value := getattr(given, name)) is not None}
    sizes = replace(sizes, **wanted)
    targets = (_first(given, sizes), *map(_beside, given.beside))
    names = [each.name for each in targets]
    if len(set(names)) < len(names):
        raise Fault(f"two servers have the same name: {', '.join(names)}; give each a name= of its own")
    return Plan(
        targets=targets,
        workloads=_workloads(given.only),
        sizes=sizes,
        runs=given.runs or (1 if given.quick else RUNS),
        fresh=not given.quick,
        cores=given.cores,
        plot=given.plot,
        json=given.json,
        rst=given.rst,
    )


def _first(given: argparse.Namespace, sizes: Sizes) -> Target:
    about = {"ws": given.server, "key": given.key, "secret": given.secret, "app-id": given.app_id}
    about |= {"api": given.api, "pid": given.pid, "name": given.name, "start": given.start}
    about = {key: value for key, value in about.items() if value is not None}
    if given.server is not None:
        return _other(about, lambda key: f"--{'server' if key == 'ws' else key}")
    if about:
        raise Fault(f"--{next(iter(about))} tells of another server than slanger: give its address with --server")
    members = max(_PRESENCE_MEMBERS, sizes.members)
    return Slanger((f"--presence-members={members}", *given.slanger_option))


def _beside(text: str) -> Target:
    about = {}
    for part in _BETWEEN.split(text.strip()):
        key, equals, value = part.partition("=")
        if not equals or key not in _KEYS:
            raise Fault(f"--beside {text!r}: {part!r} is not one of {', '.join(f'{key}=' for key in _KEYS)}")
        about[key] = value
    return _other(about, lambda key: f"{key}= in --beside")


def _other(about: dict[str, str], called: Callable[[str], str]) -> Target:
    for key in _NEEDED:
        if not about.get(key):
            raise Fault(f"another server needs {called(key)}")
    websocket = _address(about["ws"], "ws")
    pids = about.get("pid", "")
    if not re.fullmatch(r"[0-9, ]*", pids):
        raise Fault(f"process ids are numbers, separated by commas, and not {pids!r}")
    if pids and about.get("start"):
        raise Fault("a server that is started here has no process id yet: give one of pid and start")
    return Other(
        name=about.get("name") or written(websocket),
        websocket=websocket,
        api=_address(about["api"], "http") if about.get("api") else websocket,
        key=about["key"],
        secret=about["secret"],
        app_id=about["app-id"],
        pids=tuple(int(pid) for pid in pids.replace(",", " ").split()),
        start=about.get("start"),
    )


def _address(text: str, scheme: str) -> Address:
    url = urlsplit(text if "://" in text else f"{scheme}://{text}")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if url.scheme != scheme or not host or url.path.strip("/"):
        raise Fault(f"{text!r} is no address; one looks like {scheme}://127.0.0.1:8080 (TLS is not measured)")
    return host, port or _PORTS[scheme]


def _workloads(only: str | None) -> tuple[Workload, ...]:
    if only is None:
        return WORKLOADS
    wanted = only.replace(",", " ").split()
    known = {each.name: each for each in WORKLOADS}
    strange = [name for name in wanted if name not in known]
    if strange or not wanted:
        raise Fault(f"there is no workload {' '.join(strange)!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(wanted))


def _whole(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _curve(text: str) -> tuple[int, ...]:
    return tuple(_whole(each.strip()) for each in text.split(","))


def _payload(text: str) -> int:
    if (size := _whole(text)) not in PAYLOADS:
        raise argparse.ArgumentTypeError(f"{text} bytes are not from {PAYLOADS.start:,} to {PAYLOADS.stop - 1:,}")
    return size


def _cores(text: str) -> frozenset[int]:
    cores: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise argparse.ArgumentTypeError(f"{text!r} are no cores; they look like 0 or 0-3 or 0,2")
        cores |= set(range(int(first), int(last or first) + 1))
    return frozenset(cores)


def _parser() -> argparse.ArgumentParser:
    known = Sizes()
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure a Pusher server: slanger, started here, unless --server names another.",
        epilog="The exit status is 1 where deliveries were lost or a workload could not be run.",
        allow_abbrev=False,
    )
    add = parser.add_argument_group("another server").add_argument
    add("--server", metavar="ws://HOST:PORT", help="where it takes WebSockets")
    add("--api", metavar="http://HOST:PORT", help="its REST API [the same port]")
    add("--key", help="of an app")
    add("--secret", help="of the app")
    add("--app-id", help="of the app")
    add("--pid", metavar="PID[,PID]", help="its processes, where it runs here: CPU and memory are theirs")
    add("--start", metavar="COMMAND", help="starts it in the foreground; then each workload meets a fresh one")
    add("--name", help="head of its column [its address]")
    add = parser.add_argument_group("side by side").add_argument
    add(
        "--beside",
        metavar="name=...,ws=...,api=...,key=...,secret=...,app-id=...,pid=...|start=...",
        action="append",
        default=[],
        help="measure this server too, in turn; may be given again",
    )
    add = parser.add_argument_group("slanger").add_argument
    add(
        "--slanger-option",
        metavar="--OPTION=VALUE",
        action="append",
        default=[],
        help="an option of the slanger that is started, such as --slanger-option=--workers=2",
    )
    add("--cores", type=_cores, metavar="0-3,5", help="of servers started here [the first]; the load has the others")
    add = parser.add_argument_group("what").add_argument
    add("--only", metavar="NAME,...", help="these workloads: " + ", ".join(each.name for each in WORKLOADS))
    add("--runs", type=_whole, help=f"of each workload; medians are told [{RUNS}]")
    add("--quick", action="store_true", help="small sizes, one run, one server for all: to see that it works")
    add("--subscribers", type=_whole, help=f"of one channel [{known.subscribers:,}]")
    add("--connections", type=_whole, help=f"made, held and lost [{known.connections:,}]")
    add("--channels", type=_whole, help=f"where there are many [{known.channels:,}]")
    add("--curve", type=_curve, metavar="N,N,...", help="subscribers by which the cost of a delivery is plotted")
    add("--members", type=_whole, help=f"who join a presence channel [{known.members:,}]")
    add("--seconds", type=_seconds, help=f"for which there is publishing [{known.seconds:g}]")
    add("--idle", type=_seconds, metavar="SECONDS", help=f"for which nothing happens [{known.idle:g}]")
    add("--rate", type=_seconds, help=f"events a second of the steady workload [{known.rate:g}]")
    add("--payload", type=_payload, metavar="BYTES", help=f"of an event's data [{known.payload}]")
    add("--patience", type=_seconds, metavar="SECONDS", help="after which what has not come is lost")
    add = parser.add_argument_group("where to").add_argument
    add("--plot", type=Path, metavar="FILE", default=Path("benchmarks.svg"), help="SVG, PNG or PDF [%(default)s]")
    add("--no-plot", dest="plot", action="store_const", const=None, help="draw nothing")
    add("--json", type=Path, metavar="FILE", help="every value of every run")
    add("--rst", type=Path, metavar="FILE", help="the page of docs/ with the tables")
    return parser
