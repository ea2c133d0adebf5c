"""Certificates that are renewed."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import trustme
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.certificates import read_certificate
from slanger.renewal import Renewal
from slanger.tallies import Tallies
from tests.test_certificates import handshake

WATCH = 5
START = 1_700_000_000
DAY = 24 * 60 * 60


class RenewalTestCase(SynchronousTestCase):
    """A certificate in two files, looked at every few seconds."""

    def setUp(self) -> None:
        """Issue the first certificate."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)
        self.cert, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self.root = trustme.CA()
        self.clock = Clock()
        self.clock.advance(START)
        self.tallies = Tallies()
        self.write("first.example")
        self.begin()

    def begin(self) -> None:
        """Show what is in the files."""
        self.renewal = Renewal(read_certificate(str(self.cert), str(self.key)), WATCH, self.clock, self.tallies)
        self.renewal.startService()

    def issue(self, name: str, days: float = 3650) -> tuple[bytes, bytes]:
        """Issue a certificate; give it and its key."""
        until = datetime.datetime.fromtimestamp(START + days * DAY, datetime.UTC)
        since = until - datetime.timedelta(days=90 if days < 90 else days)
        issued = self.root.issue_cert(name, not_before=since, not_after=until)
        return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()

    def write(self, name: str, days: float = 3650) -> None:
        """Renew it in place."""
        cert, key = self.issue(name, days)
        self.cert.write_bytes(cert)
        self.key.write_bytes(key)

    def look(self, times: int = 1) -> list[tuple[str, str]]:
        """Let it look at the files; give the levels and lines of the log."""
        return self.lines(lambda: self.clock.pump([WATCH] * times))

    def lines(self, happen: Callable[[], object]) -> list[tuple[str, str]]:
        """Let something happen; give the levels and lines of the log."""
        with capturedLogs() as logs:
            happen()
        return [(event["log_level"].name, formatEvent(event)) for event in logs]

    @property
    def shown(self) -> str:
        """Shake hands, and tell whose certificate is shown."""
        return handshake(self.renewal, self.root)[0]


class Renewing(RenewalTestCase):
    """Files that change."""

    def test_interface(self) -> None:
        """It gives Twisted the context of each handshake."""
        self.assertTrue(verifyObject(IOpenSSLContextFactory, self.renewal))

    def test_in_place(self) -> None:
        """TLS: a renewed certificate is shown by itself, and told in one line; a context that is in use stays."""
        before = self.renewal.getContext()
        self.write("second.example")
        (line,) = self.look(2)
        self.assertEqual(line[0], "info")
        for word in (str(self.cert), "second.example", "valid until"):
            self.assertIn(word, line[1])
        self.assertEqual(self.shown, "second.example")
        self.assertIsNot(self.renewal.getContext(), before)
        self.assertEqual(dict(self.tallies.certificates), {("renewed",): 1})
        self.assertEqual(self.look(20), [])

    def test_link(self) -> None:
        """TLS: so is one that a link leads to from now on, as certbot and Kubernetes do it."""
        for number, name in enumerate(("old.example", "new.example")):
            folder = self.folder / str(number)
            folder.mkdir()
            for file, pem in zip(("cert.pem", "key.pem"), self.issue(name), strict=True):
                (folder / file).write_bytes(pem)
        link = self.folder / "live"
        link.symlink_to("0")
        self.cert, self.key = link / "cert.pem", link / "key.pem"
        self.begin()
        (self.folder / "next").symlink_to("1")
        (self.folder / "next").rename(link)
        self.look(2)
        self.assertEqual(self.shown, "new.example")

    def test_one_after_the_other(self) -> None:
        """TLS: certificate and key may be replaced one after the other: nothing is read until both are at rest."""
        cert, key = self.issue("second.example")
        self.cert.write_bytes(cert[: len(cert) // 2])
        self.assertEqual(self.look(), [])
        self.cert.write_bytes(cert)
        self.assertEqual(self.look(), [])
        self.key.write_bytes(key)
        self.assertEqual(self.look(), [])
        self.assertEqual(self.shown, "first.example")
        self.assertEqual(len(self.look()), 1)
        self.assertEqual(self.shown, "second.example")

    def test_broken(self) -> None:
        """TLS: what cannot be used changes nothing, and is told once; when it is mended, it is used."""
        cert, key = self.issue("second.example")
        for break_it, words in (
            (lambda: self.cert.write_bytes(cert), "does not belong to the certificate"),
            (lambda: self.cert.write_bytes(b"hello"), "no certificate"),
            (self.key.unlink, "No such file"),
            (lambda: self.cert.write_bytes(cert), "No such file"),
        ):
            break_it()
            ((level, line),) = self.look(20)
            self.assertEqual(level, "error")
            self.assertTrue(line.startswith("the certificate stays as it was: --tls-"), line)
            self.assertIn(words, line)
            self.assertEqual(self.shown, "first.example")
        self.key.write_bytes(key)
        self.look(2)
        self.assertEqual(self.shown, "second.example")
        self.assertEqual(dict(self.tallies.certificates), {("broken",): 4, ("renewed",): 1})

    def test_unreadable_for_a_moment(self) -> None:
        """TLS: files that could not be read, though they have not changed since, are tried again."""
        self.write("second.example")
        real = Path.read_bytes
        attempts: list[Path] = []

        def no_more_files(path: Path) -> bytes:
            attempts.append(path)
            if len(attempts) < 3:
                raise OSError(24, "Too many open files")
            return real(path)

        self.patch(Path, "read_bytes", no_more_files)
        self.assertEqual([level for level, _ in self.look(10)], ["error", "info"])
        self.assertEqual(self.shown, "second.example")

    def test_touched(self) -> None:
        """TLS: files that are written again as they were are no news."""
        self.cert.write_bytes(self.cert.read_bytes())
        os.utime(self.key, (1, 1))
        self.assertEqual(self.look(5), [])
        self.assertEqual(dict(self.tallies.certificates), {})

    def test_other_files(self) -> None:
        """Reload: a certificate in other files is used at once, and those are the ones that are watched."""
        self.cert, self.key = self.folder / "other.pem", self.folder / "other-key.pem"
        self.write("second.example")
        self.renewal.use(read_certificate(str(self.cert), str(self.key)))
        self.assertEqual(self.shown, "second.example")
        self.write("third.example")
        self.look(2)
        self.assertEqual(self.shown, "third.example")

    def test_interval(self) -> None:
        """Reload: files are looked at as often as `--tls-watch-seconds` says by now."""
        self.renewal.tls_watch_seconds = 1
        self.look()
        self.write("second.example")
        self.clock.pump([1, 1])
        self.assertEqual(self.shown, "second.example")

    def test_stopped(self) -> None:
        """Stop: nothing is looked at any more."""
        self.renewal.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Ends(RenewalTestCase):
    """Certificates that end."""

    def test_told_at_start(self) -> None:
        """TLS: whose certificate it is, and until when it is valid, is told at the start."""
        self.renewal.stopService()
        ((level, line),) = self.lines(self.begin)
        self.assertEqual(level, "info")
        for word in (str(self.cert), "first.example", "valid until 2033-11-11 22:13+00:00"):
            self.assertIn(word, line)

    def test_warned(self) -> None:
        """TLS: in the last tenth of its life it is warned of once a day, and when it has ended; not before."""
        self.write("first.example", days=10)
        self.renewal.stopService()
        self.assertEqual([level for level, _ in self.lines(self.begin)], ["info"])
        told = [line for level, line in self.look(DAY * 13 // WATCH) if level == "warn"]
        expected = ["has ended", "in 24 hours", *(f"in {days} days" for days in range(2, 10))]
        self.assertEqual([words for words in expected if not any(words in line for line in told)], [])
        self.assertEqual(len(told), 13)
        self.assertIn("has ended", told[-1])

    def test_renewed(self) -> None:
        """TLS: the warnings cease with a new certificate; one that has ended already is still better than none."""
        self.write("second.example", days=-1)
        self.assertEqual([level for level, _ in self.look(2)], ["info", "warn"])
        self.write("third.example")
        self.assertEqual([level for level, _ in self.look(DAY * 3 // WATCH)], ["info"])
