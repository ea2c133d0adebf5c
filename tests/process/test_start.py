"""Start and end of real servers, in the foreground and as daemons."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import trustme
from websockets.exceptions import ConnectionClosed

from slanger import __version__
from tests.ports import free_port
from tests.process.running import LISTENING, Daemon, Foreground, ProcessTestCase, read, run
from tests.server import KEY, PATIENCE, SECRET, Server, wait_for


def addresses() -> tuple[int, int, tuple[str, str]]:
    """Choose two ports, and the options that say so."""
    websocket, api = free_port(), free_port()
    return websocket, api, (f"--websocket-host=127.0.0.1:{websocket}", f"--api-host=127.0.0.1:{api}")


class ForegroundTests(ProcessTestCase):
    """`twistd -n slanger`."""

    def test_serves(self) -> None:
        """Start: one command starts a server that serves."""
        with Server() as server:
            self.assert_serves(self.connect(server.websocket_port), "127.0.0.1", server.api_port)

    def test_greeting(self) -> None:
        """Start: the banner, the version, and then a line for each port, are on stdout; nothing is on stderr."""
        websocket, api, options = addresses()
        with Foreground(*options) as server:
            out = server.out
            self.assertEqual(server.err, "")
        parts = ('"Y8888P"', f"slanger {__version__}", f"WebSocket server {LISTENING}127.0.0.1:{websocket}")
        places = [out.find(part) for part in (*parts, f"API server {LISTENING}127.0.0.1:{api}")]
        self.assertNotIn(-1, places, out)
        self.assertEqual(places, sorted(places))
        self.assertNotIn(SECRET, out)

    def test_sigterm(self) -> None:
        """Stop: SIGTERM sends clients away with 4200, so that they come back; the exit status is 0."""
        with Server() as server:
            client = self.connect(server.websocket_port)
            self.assertEqual(server.terminate(), 0)
            self.assertEqual(read(client)["data"], {"code": 4200, "message": "Server is shutting down"})
            closed = self.assertRaises(ConnectionClosed, client.recv, PATIENCE)
            assert closed.rcvd is not None
            self.assertEqual((closed.rcvd.code, closed.rcvd.reason), (4200, "Server is shutting down"))
            self.assertNotIn("Traceback", server.log)


class DaemonTests(ProcessTestCase):
    """`twistd slanger`."""

    def test_daemon(self) -> None:
        """Start: daemonised with pid file and log file it serves; SIGTERM ends it, and removes the pid file."""
        websocket, api, options = addresses()
        with Daemon(*options) as daemon:
            self.assertEqual((daemon.started.returncode, daemon.started.stderr, daemon.started.stdout), (0, "", ""))
            self.assertTrue(daemon.runs())
            wait_for("listening", lambda: daemon.log_file.read_text().count(LISTENING) == 2)
            client = self.connect(websocket)
            self.assert_serves(client, "127.0.0.1", api)
            daemon.terminate()
            self.assertEqual(read(client)["event"], "pusher:error")
            closed = self.assertRaises(ConnectionClosed, client.recv, PATIENCE)
            assert closed.rcvd is not None
            self.assertEqual(closed.rcvd.code, 4200)
            self.assertFalse(daemon.pid_file.exists())
            log = daemon.log_file.read_text()
        self.assertIn(f"slanger {__version__}", log)
        self.assertIn("Server Shut Down", log)
        self.assertNotIn("Traceback", log)
        self.assertNotIn(SECRET, log)


class CommandLineTests(ProcessTestCase):
    """What is answered without starting."""

    def run_slanger(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run twistd slanger to its end."""
        return run("-n", "--pidfile=", "slanger", *arguments, cwd=self.folder, **environment)

    def test_twistd_help(self) -> None:
        """Command line: `twistd --help` lists slanger."""
        shown = run("--help", cwd=self.folder)
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"(?m)^\s+slanger\s+\S")

    def test_help(self) -> None:
        """Command line: `--help` shows the options on stdout, exit status 0."""
        shown = self.run_slanger("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        for option in ("--app-key", "--secret-file", "--redis-url", "--api-host", "--websocket-host", "--[no-]verbose"):
            self.assertIn(option, shown.stdout)

    def test_version(self) -> None:
        """Command line: `--version` shows slanger's version."""
        shown = self.run_slanger("--version")
        self.assertEqual((shown.returncode, shown.stdout, shown.stderr), (0, f"slanger {__version__}\n", ""))

    def test_missing(self) -> None:
        """Command line: without key or secret usage is on stdout, one sentence on stderr, exit status not 0."""
        for arguments, words in (((), "--app-key KEY"), ((f"--app-key={KEY}",), "--secret-file FILE")):
            ended = self.run_slanger(*arguments, SLANGER_SECRET="")
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("Usage: twistd", ended.stdout)
            self.assertIn(words, ended.stderr)
            self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)

    def test_unknown_option(self) -> None:
        """Command line: an unknown option is one sentence, exit status not 0."""
        ended = self.run_slanger(f"--app-key={KEY}", "--colour=red")
        self.assertNotEqual(ended.returncode, 0)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("--colour", ended.stderr)


class FaultTests(ProcessTestCase):
    """Servers that cannot start: one sentence on stderr, a status that is not 0, no pid file left behind."""

    def assert_fault(self, options: tuple[str, ...], *words: str, early: bool = True) -> None:
        """Start in the foreground and as a daemon.

        :param early: whether it is found out before twistd becomes a daemon; if not, twistd adds words of its own.
        """
        pid_file = self.folder / "slanger.pid"
        command = (f"--pidfile={pid_file}", "--logfile=slanger.log", "slanger", f"--app-key={KEY}", *options)
        ended = run("-n", *(each for each in command if each != "--logfile=slanger.log"), cwd=self.folder)
        self.assert_told(ended, words, pid_file)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertTrue(ended.stderr.startswith("slanger: "), ended.stderr)
        ended = run(*command, cwd=self.folder)
        self.assert_told(ended, words, pid_file)
        self.assertEqual(len(ended.stderr.splitlines()), 1 if early else 2, ended.stderr)

    def assert_told(self, ended: subprocess.CompletedProcess[str], words: tuple[str, ...], pid_file: Path) -> None:
        """Check what both ways have in common."""
        self.assertNotEqual(ended.returncode, 0)
        for each in words:
            self.assertIn(each, ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)
        self.assertNotIn(SECRET, ended.stderr + ended.stdout)
        wait_for("the end of the pid file", lambda: not pid_file.exists())  # a daemon tells first, then removes it

    def test_taken_port(self) -> None:
        """Start: a port that is taken."""
        _, _, (websocket, api) = addresses()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            words = (where, "Address already in use")
            self.assert_fault((f"--websocket-host={where}", api), *words, early=False)
            self.assert_fault((websocket, f"--api-host={where}"), *words, early=False)

    def test_foreign_address(self) -> None:
        """Start: an address that is not one of this machine."""
        words = ("203.0.113.1:8080", "Cannot assign requested address")
        self.assert_fault(("--websocket-host=203.0.113.1:8080",), *words, early=False)

    def test_unresolved_host(self) -> None:
        """Start: a host that nobody knows."""
        self.assert_fault(("--websocket-host=nosuch.invalid:8080",), "nosuch.invalid:8080", early=False)

    def test_bad_address(self) -> None:
        """Start: an address of no known form."""
        self.assert_fault(("--api-host=localhost:http",), "--api-host", "localhost:http", "HOST:PORT")

    def test_bad_endpoint_string(self) -> None:
        """Start: an endpoint string that Twisted does not take."""
        self.assert_fault(("--api-host=tcp:http",), "tcp:http")

    def test_unreadable_certificate(self) -> None:
        """Start: a certificate that is not there, or is none."""
        self.assert_fault(("--tls-cert=missing.pem",), "--tls-cert", "missing.pem", "No such file")
        (self.folder / "empty.pem").touch()
        self.assert_fault(("--tls-cert=empty.pem",), "--tls-cert", "empty.pem", "no certificate")

    def test_foreign_key(self) -> None:
        """Start: a key that does not belong to the certificate."""
        authority = trustme.CA()
        for name in ("one.pem", "two.pem"):
            authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(self.folder / name))
        self.assert_fault(("--tls-cert=one.pem", "--tls-key=two.pem"), "--tls-key", "two.pem", "does not belong")

    def test_unreadable_secret(self) -> None:
        """Start: a file of the secret that is not there."""
        ended = run(
            "-n",
            "--pidfile=",
            "slanger",
            f"--app-key={KEY}",
            "--secret-file=missing",
            cwd=self.folder,
            SLANGER_SECRET="",
        )
        self.assertNotEqual(ended.returncode, 0)
        self.assertEqual(ended.stderr, "slanger: --secret-file missing: No such file or directory\n")
