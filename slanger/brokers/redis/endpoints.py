"""Ways to Redis: TCP, TLS, a Unix socket, and whichever master the sentinels name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from txredisapi import RedisError, RedisProtocol
from zope.interface import implementer

from slanger.brokers.redis.address import RedisAddress
from slanger.faults import StartupFault

CONNECT_TIMEOUT = 3
"""Seconds that a connection may take to stand."""

SENTINEL_TIMEOUT = 1
"""Seconds that a sentinel may take to answer before the next is asked."""

_END = b"-----END CERTIFICATE-----"


def redis_endpoint(address: RedisAddress, reactor: Any) -> IStreamClientEndpoint:
    """Make the endpoint that leads to Redis.

    :raises StartupFault: a certificate cannot be used.
    """
    if address.path is not None:
        return UNIXClientEndpoint(reactor, address.path, timeout=CONNECT_TIMEOUT)
    ways = _Ways(address, reactor)
    return SentinelEndpoint(address, ways) if address.master is not None else ways.to(*address.hosts[0])


class _Ways:
    """How to reach a host: in the clear or over TLS."""

    def __init__(self, address: RedisAddress, reactor: Any) -> None:
        self.reactor = reactor
        self._tls = address.tls
        self._trusted = platformTrust()
        self._certificate = None
        try:
            if address.ca_file is not None:
                parts = Path(address.ca_file).read_bytes().split(_END)[:-1]
                self._trusted = trustRootFromCertificates([Certificate.loadPEM(part + _END) for part in parts])
            if address.cert_file is not None:
                texts = [Path(file).read_bytes() for file in (address.key_file, address.cert_file) if file is not None]
                self._certificate = PrivateCertificate.loadPEM(b"\n".join(texts))
        except Exception as fault:
            raise StartupFault(f"the certificates of {address.text} cannot be used: {fault}") from None

    def to(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint that leads to one host."""
        endpoint = HostnameEndpoint(self.reactor, host, port, timeout=CONNECT_TIMEOUT)
        return wrapClientTLS(self._creator(host), endpoint) if self._tls else endpoint

    def _creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        return optionsForClientTLS(host, trustRoot=self._trusted, clientCertificate=self._certificate)


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """Ask the sentinels for the master at each attempt; the first that knows one is believed.

    Whether it is a master indeed, the link itself asks it.
    """

    def __init__(self, address: RedisAddress, ways: _Ways) -> None:
        self._address = address
        self._ways = ways
        self._sentinels: Sequence[tuple[str, int]] = address.hosts

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect to the master."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: Any) -> Any:
        reasons = []
        for sentinel in self._sentinels:
            try:
                host, port = await self._ask(sentinel)
            except Exception as fault:
                reasons.append(f"{sentinel[0]}:{sentinel[1]}: {fault}")
                continue
            self._sentinels = (sentinel, *(other for other in self._sentinels if other != sentinel))
            return await self._ways.to(host, port).connect(factory)
        raise RedisError(f"no sentinel names a master ({'; '.join(reasons)})")

    async def _ask(self, sentinel: tuple[str, int]) -> tuple[str, int]:
        """Ask one sentinel; whatever it does, it has a second for it."""
        protocol = _Question()
        asking = Deferred.fromCoroutine(self._converse(protocol, sentinel))
        asking.addTimeout(SENTINEL_TIMEOUT, self._ways.reactor)
        try:
            return await asking
        finally:
            protocol.end()

    async def _converse(self, protocol: _Question, sentinel: tuple[str, int]) -> tuple[str, int]:
        await connectProtocol(self._ways.to(*sentinel), protocol)
        address = self._address
        if address.sentinel_password is not None:
            user = () if address.sentinel_username is None else (address.sentinel_username,)
            await protocol.execute_command("AUTH", *user, address.sentinel_password)
        answer = await protocol.execute_command("SENTINEL", "get-master-addr-by-name", address.master)
        if not answer:
            raise RedisError(f"it knows no master {address.master!r}")
        return answer[0].decode(), int(answer[1])


class _Question(RedisProtocol):  # type: ignore[misc]
    """A short link to a sentinel."""

    transport: Any = None

    def __init__(self) -> None:
        super().__init__(charset=None, convertNumbers=False)

    def connectionMade(self) -> None:
        """Ask nothing yet."""

    def end(self) -> None:
        """Hang up, whether anyone answered or not."""
        if self.transport is not None:
            self.transport.abortConnection()
