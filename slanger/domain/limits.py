"""What one node bears, whatever its apps: limits on connections, bytes, seconds and memory.

The limits of an app are in `slanger.protocol.rules` and `slanger.domain.apps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from slanger.domain.apps import Apps
from slanger.protocol.names import REQUEST_BODY_BYTES, UNLIMITED

MESSAGE_BYTES = 128 * 1024
"""Bytes of one message of a client by default: 10 kB of data, each byte escaped sixfold, and authorisation."""

BURST_SECONDS = 20
"""Seconds' worth of messages that a connection may send at once: a client that comes back subscribes to everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a node. It is one value, so that all of them change in one step.

    :param node_connections: connections at the same time.
    :param address_connections: connections at the same time from one IPv4 address, or one /64 of IPv6.
    :param connects_per_second: connections let in per second, and as many at once after a quiet second.
    :param messages_per_second: frames of one connection per second, pings included; see `BURST_SECONDS`.
    :param message_bytes: bytes of one message and of one frame of a client; 0 for what the apps' data may need.
    :param header_bytes: bytes of an opening handshake, and of the head of a REST request.
    :param body_bytes: bytes of the body of a REST request; 0 for what the apps' data may need.
    :param handshake_timeout: seconds an opening handshake may take.
    :param close_timeout: seconds a client has to answer a close frame, and to read what was sent before.
    :param request_timeout: seconds a REST request may take to arrive.
    :param keep_alive: seconds for which a REST connection that is idle is kept.
    :param backlog_bytes: bytes that may wait for one slow reader, beyond what the kernel and the transport hold.
    :param total_backlog_bytes: bytes that may wait for all slow readers together, with what the transports hold.
    :param unsent_bytes: bytes that the kernel may hold for one connection beyond what is on its way.
    :param memory_bytes: resident memory above which nobody more is let in.
    """

    node_connections: int = UNLIMITED
    address_connections: int = UNLIMITED
    connects_per_second: int = UNLIMITED
    messages_per_second: int = 100
    message_bytes: int = 0
    header_bytes: int = 16 * 1024
    body_bytes: int = 0
    handshake_timeout: int = 10
    close_timeout: int = 1
    request_timeout: int = 30
    keep_alive: int = 60
    backlog_bytes: int = 1024 * 1024
    total_backlog_bytes: int = 256 * 1024 * 1024
    unsent_bytes: int = 128 * 1024
    memory_bytes: int = UNLIMITED

    def fitting(self, apps: Apps) -> Limits:
        """Work out what is not given, as what the data of these apps may need."""
        return replace(
            self,
            message_bytes=self.message_bytes or max(MESSAGE_BYTES, apps.message_bytes),
            body_bytes=self.body_bytes or max(REQUEST_BODY_BYTES, apps.body_bytes),
        )


class Limited(Protocol):
    """What goes by the limits of a node."""

    def apply(self, limits: Limits) -> None:
        """Go by these from now on."""
