"""The benchmarks, tried out: that every figure comes, that nothing is lost unseen. What is fast is not tested."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks import frames
from tests.benchmarks.__main__ import main
from tests.benchmarks.crowd import Crowd
from tests.benchmarks.figures import EXTRA, LOST, REFUSED, Figure, Results, percentiles
from tests.benchmarks.loop import Loop
from tests.benchmarks.plot import PANELS
from tests.benchmarks.processes import Processes
from tests.benchmarks.subscribers import Subscriber
from tests.benchmarks.targets import Other, Serving, Slanger
from tests.benchmarks.workloads import WORKLOADS
from tests.ports import free_port
from tests.server import KEY, PATIENCE, SECRET, Server, twistd

ROOT = Path(__file__).parents[2]
SUBSCRIBERS = 40
TINY = (
    "--quick",
    "--seconds=0.2",
    f"--subscribers={SUBSCRIBERS}",
    "--connections=40",
    "--curve=10,40",
    "--channels=10",
    "--members=20",
    "--idle=0.2",
)
SWALLOWED = 3
_ELSEWHERE = "--server=ws://127.0.0.1:1", "--key=k", "--secret=s", "--app-id=1", "--no-plot"


class Forgetful(BaseHTTPRequestHandler):
    """Passes requests on to the API, except each third: that it only says it has published."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    requests = 0
    swallowed = 0
    api_port = 0

    def do_POST(self) -> None:
        """Publish, or say so."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cls = type(self)
        cls.requests += 1
        answer = b"{}"
        if cls.requests % SWALLOWED:
            connection = http.client.HTTPConnection("127.0.0.1", cls.api_port)
            connection.request("POST", self.path, body)
            answer = connection.getresponse().read()
            connection.close()
        else:
            cls.swallowed += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class BenchmarkTests(SynchronousTestCase):
    """The command, as people run it."""

    def setUp(self) -> None:
        """Make an empty folder."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)

    def run_benchmarks(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        command = [sys.executable, "-m", "tests.benchmarks", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def measure(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[tuple[str, str], Any]]:
        """Run it; give what it said, and the values of each figure by workload and name."""
        file = self.folder / "figures.json"
        done = self.run_benchmarks(*TINY, f"--json={file}", *arguments)
        self.assertTrue(file.exists(), done.stderr)
        figures = json.loads(file.read_text(encoding="utf-8"))["figures"]
        return done, {(each["workload"], each["name"]): each["values"] for each in figures}

    def at(self, server: Server, api_port: int) -> tuple[str, ...]:
        """Tell where a server is that runs."""
        where = f"--server=ws://127.0.0.1:{server.websocket_port}", f"--api=http://127.0.0.1:{api_port}"
        return *where, f"--key={KEY}", f"--secret={SECRET}", "--app-id=1", "--name=other", "--no-plot"

    def test_every_workload(self) -> None:
        """Against slanger, every workload gives figures, costs among them; nothing is lost; page and plot show them."""
        plot, page = self.folder / "costs.svg", self.folder / "page.rst"
        done, figures = self.measure(f"--plot={plot}", f"--rst={page}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        drawn, written = plot.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
        for workload in WORKLOADS:
            costs = [values for (name, figure), values in figures.items() if name == workload.name and "CPU" in figure]
            self.assertTrue(costs, workload.name)
            if workload.name != "idle":
                self.assertGreater(min(value for each in costs for value in each["slanger"]), 0, workload.name)
            self.assertIn(f"``{workload.name}``", written)
        losses = {name: values["slanger"] for (name, figure), values in figures.items() if figure == LOST}
        self.assertEqual(
            set(losses), {"fan-out", "saturated", "steady", "small", "publish", "batch", "curve", "presence"}
        )
        self.assertEqual({value for values in losses.values() for value in values}, {0})
        for panel in PANELS:
            self.assertIn(panel.title, drawn)
        self.assertIn(".. image:: costs.svg", written)

    def test_lossy(self) -> None:
        """A server that forgets some of what it has acknowledged: each delivery that is missing is counted, aloud."""
        Forgetful.requests = Forgetful.swallowed = 0
        with Server() as server, ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as proxy:
            Forgetful.api_port = server.api_port
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            where = self.at(server, proxy.server_port)
            done, figures = self.measure(*where, "--only=fan-out", "--seconds=0.6", "--patience=0.1")
            proxy.shutdown()
        self.assertGreater(Forgetful.swallowed, 1, "one that is lost does not keep the next from being published")
        lost = Forgetful.swallowed * SUBSCRIBERS
        self.assertEqual(figures["fan-out", LOST], {"other": [lost]})
        self.assertNotIn(("fan-out", EXTRA), figures)
        self.assertIn(f"!! other, fan-out: {lost:,} deliveries lost\n", done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(("fan-out", "CPU per delivery"), figures, "nobody said which process it is")

    def test_refused(self) -> None:
        """A workload that the server refuses is told of with the server's own words; the others are measured."""
        with Server("--presence-members=5") as server:
            pid = f"--pid={server.pid}"
            done, figures = self.measure(*self.at(server, server.api_port), pid, "--only=presence,publish")
        self.assertRegex(done.stdout, r"!! other, presence: not measured, \d+ of 20 subscribers were refused .*full")
        self.assertEqual(done.returncode, 1)
        self.assertGreater(figures["publish", "CPU per event"]["other"][0], 0)

    def test_wrong_secret(self) -> None:
        """Publishes that the server refuses are counted, aloud, with its answer to one of them; they are not lost."""
        with Server() as server:
            where = [each for each in self.at(server, server.api_port) if not each.startswith("--secret")]
            done, figures = self.measure(*where, "--secret=of somebody else", "--only=fan-out")
        self.assertGreater(figures["fan-out", REFUSED]["other"][0], 0)
        self.assertEqual(figures["fan-out", LOST], {"other": [0]})
        self.assertIn("!! other, fan-out: a publish was refused: HTTP/1.1 401 Unauthorized", done.stdout)
        self.assertEqual(done.returncode, 1)

    def test_beside(self) -> None:
        """Two servers, one started by a command, run in turn: a column for each, and one for their ratio."""
        port = free_port()
        command = " ".join(
            twistd(
                "-n",
                "--pidfile=",
                "slanger",
                "--app-key=its-key",
                "--secret=its-own",
                f"--websocket-host=127.0.0.1:{port}",
                f"--api-host=127.0.0.1:{port}",
                "--redis-url=none",
            )
        )
        other = f"name=other,ws=127.0.0.1:{port},key=its-key,secret=its-own,app-id=1,start={command}"
        done, figures = self.measure("--beside", other, "--only=fan-out,publish", "--runs=2", "--no-plot")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for workload, cost in (("fan-out", "CPU per delivery"), ("publish", "CPU per event")):
            self.assertEqual(
                {name: len(each) for name, each in figures[workload, cost].items()}, {"slanger": 2, "other": 2}
            )
        self.assertRegex(done.stdout, r"\n +slanger +other +slanger / other\n")
        self.assertIn("run 2 of 2: fan-out, other\nrun 2 of 2: fan-out, slanger\n", done.stderr)
        self.assertNotIn("its-own", done.stdout, "a secret is told to nobody")

    def test_bad_options(self) -> None:
        """What cannot be measured is said in one sentence, before anything is measured."""
        for arguments, sentence in (
            (("--only=fanout",), "there is no workload 'fanout'; there are fan-out, "),
            (("--server=ws://example.com",), "another server needs --key"),
            ((*_ELSEWHERE, "--server=wss://example.com"), "(TLS is not measured)"),
            (("--pid=12",), "--pid tells of another server than slanger: give its address with --server"),
            (("--beside=ws=:1,key=k",), "another server needs secret= in --beside"),
            (("--beside=nmae=x",), "'nmae=x' is not one of name=, ws=, "),
            (("--payload=5",), "5 bytes are not from 16 to 10,000"),
            (("--cores=999",), "there are no cores [999]"),
            ((*_ELSEWHERE, "--pid=99999999"), "there is no process 99999999 on this machine"),
            ((*_ELSEWHERE, "--pid=x"), "process ids are numbers, separated by commas, and not 'x'"),
            (("--plot=costs.gif",), "its name should end in one of .svg, .png, .pdf"),
        ):
            told = StringIO()
            with contextlib.redirect_stderr(told), contextlib.suppress(SystemExit):
                self.assertEqual(main(arguments), 1)
            self.assertIn(sentence, told.getvalue())
            self.assertNotIn("run 1", told.getvalue())

    def test_few_files(self) -> None:
        """More connections than the system allows open files: said before anything is measured."""
        done = self.run_benchmarks("--connections=100000000", "--no-plot")
        self.assertRegex(done.stderr, r"^100,000,000 connections need 100,000,200 open files, .* ulimit -n.*\n$")
        self.assertEqual(done.returncode, 1)


class PartTests(SynchronousTestCase):
    """What the figures rest on."""

    @given(st.lists(st.binary(max_size=300), max_size=5), st.data())
    def test_frames(self, payloads: list[bytes], data: st.DataObject) -> None:
        """A server's frames are read alike, wherever the stream of bytes is cut."""
        sent = b"".join(_server_frame(payload) for payload in payloads)
        cut = data.draw(st.integers(0, len(sent)))
        first, rest = frames.take_apart(sent[:cut])
        second, rest = frames.take_apart(rest + sent[cut:])
        self.assertEqual([payload for _, _, payload in first + second], payloads)
        self.assertEqual(sum(size for _, size, _ in first + second), len(sent))
        self.assertEqual(rest, b"")

    def test_counting(self) -> None:
        """A subscriber counts his events and answers a ping among them, wherever the stream of bytes is cut."""
        events = _server_frame(b'{"event":"price","channel":"news","data":"@00000000"}')
        stream = events * 2 + b"\x89\x02hi" + events
        pong = frames.frame(b"hi", frames.PONG)
        with socket.create_server(("127.0.0.1", 0)) as listening, Loop() as loop:
            address = listening.getsockname()
            serving = Serving(websocket=address, api=address, key=KEY, secret=SECRET, app_id="1", processes=None)
            with Crowd(loop, serving) as crowd:
                subscriber = Subscriber(crowd, 0, ())
                server, _ = listening.accept()
                with server:
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                    server.sendall(
                        _server_frame(b'{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"1.2\\"}"}')
                    )
                    self.assertTrue(loop.until(lambda: crowd.ready == 1, lambda: 0, PATIENCE))
                    server.recv(len(crowd.handshake), socket.MSG_WAITALL)
                    for cut in range(len(stream)):
                        server.sendall(stream[:cut])
                        loop.turn(0.0)
                        server.sendall(stream[cut:])
                        self.assertEqual(self.pump(loop, server, len(pong)), pong, cut)
                        self.assertTrue(loop.until(lambda: crowd.delivered % 3 == 0, lambda: 0, PATIENCE), cut)
                        self.assertEqual((subscriber.events, crowd.delivered), (3 * cut + 3, 3 * cut + 3), cut)

    def pump(self, loop: Loop, server: socket.socket, size: int) -> bytes:
        """Turn the loop until the subscriber has sent so many bytes."""
        self.assertTrue(loop.until(lambda: len(_peek(server)) >= size, lambda: 0, PATIENCE))
        return server.recv(size)

    def test_heads(self) -> None:
        """The head of a server's text frame is known from the size of the frame."""
        for length in (0, 60, 125, 126, 300, 65_535):
            frame = _server_frame(bytes(length))
            self.assertEqual(frames.text_head(len(frame)), frame[: len(frame) - length])

    def test_cpu(self) -> None:
        """What a process has used counts, and what its children have used: a shell's busy child."""
        command = f"{sys.executable} -c 'sum(range(10**7)); print(); input()'; true"
        with subprocess.Popen(("sh", "-c", command), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
            assert shell.stdout is not None
            shell.stdout.readline()
            used = Processes((shell.pid,)).cpu()
            resident = Processes((shell.pid,)).resident()
            shell.communicate(b"\n")
        self.assertGreater(used, 0.03, "ten million additions")
        self.assertGreater(resident, 5_000_000, "a Python and a shell")

    def test_cores(self) -> None:
        """A server runs on the cores it is given while it is measured, and the load where it ran before."""
        before = os.sched_getaffinity(0)
        cores = frozenset({min(before)})
        address = "127.0.0.1", free_port()
        start = f"{sys.executable} -m http.server --bind {address[0]} {address[1]}"
        other = Other(name="other", websocket=address, api=address, key="k", secret="s", app_id="1", start=start)
        for target in (Slanger(), other):
            with target.serving(cores) as serving:
                assert serving.processes is not None
                self.assertEqual((set(serving.processes.cores()), os.sched_getaffinity(0)), (cores, before))

    def test_percentiles(self) -> None:
        """Percentiles are values that were measured, in milliseconds."""
        figures = percentiles("latency", [each / 1000 for each in range(101)])
        self.assertEqual([round(each.value, 6) for each in figures], [50, 95, 99, 100])
        self.assertEqual(percentiles("latency", []), [])

    def test_ratio(self) -> None:
        """What both servers gave in the same turn is compared, and the median of that told."""
        results = Results()
        for ours, theirs in ((1.0, 2.0), (4.0, 4.0), (9.0, 3.0)):
            results.add("w", "ours", [Figure("cost", "µs", ours)])
            results.add("w", "theirs", [Figure("cost", "µs", theirs)])
        (row,) = results.of("w")
        self.assertEqual((row.ratio("ours", "theirs"), row.median("ours")), (1.0, 4.0))
        self.assertIsNone(row.ratio("ours", "nobody"))


def _peek(sock: socket.socket) -> bytes:
    try:
        return sock.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def _server_frame(payload: bytes) -> bytes:
    size = len(payload)
    return bytes((0x81,)) + (bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload
