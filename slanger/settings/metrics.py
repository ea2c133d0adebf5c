"""Where metrics are to be had."""

from __future__ import annotations

from collections.abc import Sequence

from slanger.faults import StartupFault
from slanger.settings.addresses import ANY_HOST, LARGEST_PORT, Address, read_address
from slanger.settings.sources import Values

METRICS_PORT = 9601
"""The port of Soketi's metrics, which Prometheus may know already."""


def read_metrics_host(values: Values, ports: Sequence[Address]) -> Address | None:
    """Read where metrics have a port of their own: each worker one of its own, as each counts for itself.

    :param ports: those of clients.
    :raises StartupFault: it is no address, or one that is in use.
    """
    text, workers = values.text("metrics-host"), values.number("workers")
    if values.switch("metrics") and (workers > 1 or values.switch("reuse-port")):
        raise StartupFault(
            f"{values.origin('metrics')}: each worker counts for itself, and which of them a request to the shared port"
            " meets is chance; give --metrics-host, and each has a port of its own"
        )
    if text is None:
        return None
    origin = values.origin("metrics-host")
    address = read_address(origin, text, METRICS_PORT)
    if workers > 1 and address.endpoint is not None:
        raise StartupFault(f"{origin}: with workers it takes an address of the form HOST:PORT, not {text}")
    last = address.port + workers - 1
    if last > LARGEST_PORT:
        raise StartupFault(
            f"{origin} {text}: {workers} workers need a port each, from this one on up to {LARGEST_PORT}"
        )
    for other in ports:
        same_host = other.host == address.host or ANY_HOST in (other.host, address.host)
        if address.endpoint is other.endpoint is None and same_host and address.port <= other.port <= last:
            raise StartupFault(f"{origin} {text}: {other.text} is for clients; metrics need a port of their own")
    return address
