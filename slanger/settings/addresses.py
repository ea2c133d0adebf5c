"""Addresses: where ports listen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from slanger.faults import StartupFault

ANY_HOST = "0.0.0.0"  # noqa: S104 - what Slanger did, and what a server is for
LARGEST_PORT = 65535

BACKLOG = 1024
"""Connections that may wait to be accepted, as clients of another node do when they come at once; Twisted has 50."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port listens.

    :param text: as the operator wrote it; a host alone has its port added.
    :param host: an address of this machine; the empty string where `endpoint` is given.
    :param port: its number; 0 where `endpoint` is given.
    :param endpoint: a Twisted endpoint string, or None.
    :param tls: whether the certificate of the settings is used here.
    """

    text: str
    host: str
    port: int
    endpoint: str | None
    tls: bool

    @property
    def inherited(self) -> str | None:
        """The name of a socket that systemd listens on, where it was given as `systemd:NAME`."""
        kind, _, name = (self.endpoint or "").partition(":")
        return name if kind == "systemd" and "=" not in name else None

    def same_place(self, other: Address) -> bool:
        """Whether both mean one port."""
        return (self.host, self.port, self.endpoint) == (other.host, other.port, other.endpoint)


def read_address(origin: str, text: str, default_port: int) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `HOST`, `systemd:NAME` or a Twisted endpoint string.

    :param origin: where it was given, for the error.
    :raises StartupFault: it is none of these.
    """
    if ":" in text and text.partition(":")[0] in _endpoint_kinds():
        address = Address(text, "", 0, text, tls=False)
        if address.inherited is not None and not re.fullmatch(r"[\w.@-]+", address.inherited, re.ASCII):
            raise StartupFault(f"{origin} {text!r}: expected systemd:NAME, with the FileDescriptorName of the socket")
        return address
    form = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\[\]:\s]*))(?::(?P<port>\d{1,5}))?", text)
    if form is None or int(form["port"] or default_port) > LARGEST_PORT:
        raise StartupFault(
            f"{origin} {text!r}: expected HOST:PORT, [IPV6]:PORT, :PORT, HOST, systemd:NAME or a Twisted endpoint"
            f" string, with a port up to {LARGEST_PORT}"
        )
    port = int(form["port"] or default_port)
    text = text if form["port"] else f"{text}:{port}"
    return Address(text, form["six"] or form["host"] or ANY_HOST, port, None, tls=False)


def with_tls(address: Address, origin: str) -> Address:
    """Have an address use the certificate of the settings.

    :raises StartupFault: it is an endpoint string, which names its own.
    """
    if address.endpoint is not None and address.inherited is None:
        raise StartupFault(
            f"{origin} {address.text}: --tls-cert is for addresses of the form HOST:PORT or systemd:NAME;"
            " write ssl:PORT:privateKey=FILE:certKey=FILE, or leave this port out with --tls-ports"
        )
    return replace(address, tls=True)


def endpoint_string(address: Address) -> str:
    """Write an address without TLS as a Twisted endpoint string."""
    return address.endpoint or f"tcp:{address.port}:interface={quoteStringArgument(address.host)}:backlog={BACKLOG}"


def _endpoint_kinds() -> set[str]:
    """Name the kinds of endpoint that Twisted knows here."""
    return {"tcp", "ssl", "unix"} | {parser.prefix for parser in getPlugins(IStreamServerEndpointStringParser)}
