"""Where a node listens: the endpoint of each port, and what stands before those who take its connections."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any, cast

from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory

from slanger.complaints import Complaints
from slanger.descriptors import Guarded, first_kept
from slanger.domain.limits import Limited
from slanger.faults import StartupFault
from slanger.services.listening import Listening
from slanger.settings import BACKLOG, Address, Settings, endpoint_string
from slanger.systemd import InheritedPort
from slanger.transports.proxied import ProxiedPort
from slanger.transports.shared import SharedPort
from slanger.workers import TETHERED, SharedPortEndpoint


class Ports:
    """The ports of a node.

    :param certificate: for those that speak TLS.
    :ivar for_clients: the ports of clients and apps, and whether requests come to them.
    :ivar for_metrics: that of metrics, where they have one.
    :ivar limited: what of them goes by limits.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: IReactorTime,
        certificate: IOpenSSLContextFactory | None,
        complaints: Complaints,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._certificate = certificate
        self._complaints = complaints
        self.for_clients: list[tuple[Listening, bool]] = []
        self.for_metrics: Listening | None = None
        self.limited: list[Limited] = []

    def open(self, websockets: IProtocolFactory, rest: IProtocolFactory) -> None:
        """Open a port for each, or one for both."""
        settings = self._settings
        if settings.websocket.same_place(settings.api):
            both = SharedPort(websockets, rest, self._reactor, settings.limits, settings.path_prefix)
            self.limited.append(both)
            self._open("Slanger WebSocket and API server", "websocket", settings.websocket, both, for_requests=True)
        else:
            self._open("Slanger WebSocket server", "websocket", settings.websocket, websockets, for_requests=False)
            self._open("Slanger API server", "api", settings.api, rest, for_requests=True)

    def open_for_metrics(self, address: Address, site: IProtocolFactory) -> None:
        """Open a port for metrics; of workers, each has one of its own. No proxy stands before it."""
        address = _of_worker(address)
        endpoint = _endpoint(address, self._reactor, self._certificate, shared=False)
        self.for_metrics = self._listening("Slanger metrics", address, endpoint, site, shares=1)

    def _open(self, what: str, port: str, address: Address, factory: IProtocolFactory, *, for_requests: bool) -> None:
        settings, certificate = self._settings, self._certificate
        if settings.proxied(port):  # the header comes before TLS
            if certificate is not None and address.tls:
                factory, address = TLSMemoryBIOFactory(certificate, False, factory), replace(address, tls=False)
            factory = ProxiedPort(factory, settings.trusted_proxies, self._reactor, settings.limits, self._complaints)
            self.limited.append(factory)
        endpoint = _endpoint(address, self._reactor, certificate, shared=settings.reuse_port)
        listening = self._listening(what, address, endpoint, factory, shares=1 if for_requests else 2)
        self.for_clients.append((listening, for_requests))

    def _listening(
        self, what: str, address: Address, endpoint: IStreamServerEndpoint, factory: IProtocolFactory, *, shares: int
    ) -> Listening:
        """Make a port.

        :param shares: of the descriptors that are kept free of its connections; see `first_kept`.
        """
        guard = partial(Guarded, most=first_kept(shares), refused=self._complaints.tallies.connections_refused)
        inherited, limits = address.inherited is not None, self._settings.limits
        listening = Listening(endpoint, factory, what, address.text, limits, shared=inherited, guard=guard)
        self.limited.append(listening)
        return listening


def _of_worker(address: Address) -> Address:
    """Give the address of this worker's metrics: the first has that of the settings, the second the next port."""
    number = int(os.environ.get(TETHERED, "1"))
    if number == 1:
        return address
    port = address.port + number - 1
    return replace(address, port=port, text=f"{address.host}:{port}")


def _endpoint(
    address: Address, reactor: Any, certificate: IOpenSSLContextFactory | None, *, shared: bool
) -> IStreamServerEndpoint:
    if shared:
        return SharedPortEndpoint(reactor, address.host, address.port, certificate if address.tls else None, BACKLOG)
    if address.inherited is not None:
        return InheritedPort(reactor, address.inherited, certificate if address.tls else None)
    if address.tls:
        return SSL4ServerEndpoint(reactor, address.port, certificate, BACKLOG, interface=address.host)
    try:
        return cast("IStreamServerEndpoint", serverFromString(reactor, endpoint_string(address)))
    except Exception as fault:
        raise StartupFault(f"{address.text}: not a usable Twisted endpoint ({fault})") from None
