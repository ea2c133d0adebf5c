"""The certificate that new clients are shown, kept current.

Its files are looked at every few seconds. A look costs two calls of `stat`, and `stat` sees every way in which a
certificate is renewed: written in place, renamed over, a link that leads elsewhere (certbot), a folder of links
(Kubernetes), on a disk or over a network. Watching them by inotify would have to know these ways, one by one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IOpenSSLContextFactory, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from slanger.certificates import Certificate, Stamp, read_certificate, stamp_of
from slanger.faults import StartupFault
from slanger.tallies import Tallies

LAST_PART = 10
"""The last tenth of its life, before which a certificate should be renewed: ACME clients do so with a third left."""

REMINDER = 24 * 60 * 60
"""Seconds between two warnings that a certificate ends."""


@implementer(IOpenSSLContextFactory)
class Renewal(Service):
    """Show new clients the certificate that is in the files. Connections that stand keep what they were made with.

    Files count once they have been the same for two looks in a row: certificate and key may be replaced one after the
    other, and a file may be half written. What cannot be used changes nothing, and is told once.

    :param certificate: the one to begin with.
    :ivar tls_watch_seconds: between two looks.
    """

    name = "renewal"
    _log = Logger()

    def __init__(
        self, certificate: Certificate, tls_watch_seconds: int, clock: IReactorTime, tallies: Tallies | None = None
    ) -> None:
        self.tls_watch_seconds = tls_watch_seconds
        self._certificate = certificate
        self._clock = clock
        self._outcomes = (tallies or Tallies()).certificates
        self._seen: Stamp = certificate.stamp
        self._told: tuple[str, Stamp] | None = None
        self._warned_at = float("-inf")
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Tell which certificate it is, and begin to look."""
        super().startService()
        self._tell()
        self._next = self._clock.callLater(self.tls_watch_seconds, self._look)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def getContext(self) -> SSL.Context:
        """Give what the next handshake is made with."""
        return self._certificate.options.getContext()

    def use(self, certificate: Certificate) -> None:
        """Show this certificate from now on."""
        before, self._certificate = self._certificate, certificate
        self._told = None
        if certificate.digest != before.digest:
            self._outcomes["renewed",] += 1
            self._tell()

    def _tell(self) -> None:
        certificate = self._certificate
        self._warned_at = float("-inf")
        self._log.info(
            "the certificate in {file} is for {names}, and valid until {until}",
            event="certificate",
            file=certificate.files[0],
            names=certificate.names,
            until=certificate.valid_until.isoformat(sep=" ", timespec="minutes"),
        )
        self._warn_of_end()

    def _look(self) -> None:
        self._next = self._clock.callLater(self.tls_watch_seconds, self._look)
        self._warn_of_end()
        stamp = stamp_of(*self._certificate.files)
        settled, self._seen = stamp == self._seen, stamp
        if settled and stamp != self._certificate.stamp:
            self._try(stamp)

    def _try(self, stamp: Stamp) -> None:
        try:
            self.use(read_certificate(*self._certificate.files))
        except StartupFault as fault:
            if self._told != (str(fault), stamp):
                self._told = str(fault), stamp
                self._outcomes["broken",] += 1
                self._log.error("the certificate stays as it was: {fault}", event="certificate_refused", fault=fault)

    def _warn_of_end(self) -> None:
        certificate, now = self._certificate, self._clock.seconds()
        left = certificate.valid_until - datetime.fromtimestamp(now, UTC)
        life = certificate.valid_until - certificate.valid_from
        if left > life / LAST_PART or now - self._warned_at < REMINDER:
            return
        self._warned_at = now
        self._log.warn(
            "the certificate in {file} {ends}: is it being renewed?",
            event="certificate_ends",
            file=certificate.files[0],
            ends=_words(left),
        )


def _words(left: timedelta) -> str:
    if left <= timedelta(0):
        return "has ended"
    return f"ends in {left.days} days" if left.days > 1 else f"ends in {left.total_seconds() / 3600:.0f} hours"
