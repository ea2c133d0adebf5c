"""Frames in and out to the log, for `--verbose`: decorators, so that without it nothing is spent."""

from __future__ import annotations

import re

from twisted.logger import Logger
from zope.interface import implementer

from slanger.interfaces import IConnected, IWire
from slanger.protocol.errors import Code, ConnectionRefused
from slanger.protocol.messages import Message

_AUTH = re.compile(r"""("auth\\*"\s*:\s*\\*")[^"\\]*""")  # linear: it begins with what does not repeat
_DIGEST = re.compile(r"[0-9a-fA-F]{64,}")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

SHOWN = 2000
"""Characters of a frame that are logged."""

_log = Logger()


def mask(text: bytes) -> str:
    """Show a frame in one line, without what could be used to act in someone's name."""
    masked = _DIGEST.sub("***", _AUTH.sub(r"\1***", text.decode("utf-8", "backslashreplace")))
    more = f"... ({len(text)} bytes)" if len(masked) > SHOWN else ""
    return in_one_line(masked[:SHOWN]) + more


def in_one_line(text: str) -> str:
    """Write control characters as escapes, so that nobody's text looks like a log line of its own."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def log_refusal(peer: str, refusal: ConnectionRefused) -> None:
    """Log a client that was not let in, and why."""
    why = in_one_line(refusal.message[:SHOWN])
    _log.info("{peer} refused with {code}: {why}", peer=peer, code=refusal.code.number, why=why)


@implementer(IWire)
class TracedWire:
    """A wire whose frames are logged."""

    def __init__(self, wire: IWire) -> None:
        self._wire = wire
        self.address = wire.address
        self.peer = wire.peer

    def send(self, message: Message) -> None:
        """Log a text, then send it."""
        _log.info("{peer} <- {text}", peer=self.peer, text=mask(message.text))
        self._wire.send(message)

    def ping(self) -> None:
        """Log a ping, then send it."""
        _log.info("{peer} <- PING", peer=self.peer)
        self._wire.ping()

    def close(self, code: Code, reason: str) -> None:
        """Log a close, then do it."""
        _log.info("{peer} <- CLOSE {code} {reason}", peer=self.peer, code=code.number, reason=in_one_line(reason))
        self._wire.close(code, reason)


@implementer(IConnected)
class TracedConnected:
    """What a transport tells of its client, logged."""

    def __init__(self, connected: IConnected, peer: str) -> None:
        self._connected = connected
        self._peer = peer
        self.heard = connected.heard
        self.meter = connected.meter

    def receive(self, text: bytes) -> None:
        """Log a text, then take it."""
        _log.info("{peer} -> {text}", peer=self._peer, text=mask(text))
        self._connected.receive(text)

    def gone(self, code: int) -> None:
        """Log the end, then take it."""
        _log.info("{peer} gone with {code}", peer=self._peer, code=code)
        self._connected.gone(code)
