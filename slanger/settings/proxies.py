"""Proxies in front: whom to believe, and what they send."""

from __future__ import annotations

import re
from ipaddress import ip_network

from slanger.faults import StartupFault
from slanger.proxies import UNIX, Proxies
from slanger.settings.addresses import Address
from slanger.settings.sources import Values


def read_proxies(values: Values) -> Proxies:
    """Read who is trusted.

    :raises StartupFault: something there is no network, no address and not `unix`.
    """
    listed = [each.strip() for each in (values.text("trusted-proxies") or "").split(",")]
    named = [each for each in listed if each]
    try:
        networks = tuple(ip_network(each) for each in named if each != UNIX)
    except ValueError as fault:
        raise StartupFault(
            f"{values.origin('trusted-proxies')}: {fault}; expected networks such as 10.0.0.0/8, addresses,"
            f" or {UNIX}, separated by commas"
        ) from None
    return Proxies(networks, unix=UNIX in named)


def read_proxy_protocol(values: Values, websocket: Address, api: Address) -> str:
    """Tell to which ports proxies send PROXY headers: none, both, websocket or api.

    :raises StartupFault: nobody is trusted to, or a port cannot read them.
    """
    chosen = values.choice("proxy-protocol", ("none", "both", "websocket", "api"))
    origin = values.origin("proxy-protocol")
    if chosen != "none" and values.text("trusted-proxies") is None:
        raise StartupFault(f"{origin} {chosen}: say with --trusted-proxies whose PROXY headers are believed")
    if websocket.same_place(api) and chosen in ("websocket", "api"):
        raise StartupFault(f"{origin} {chosen}: WebSockets and REST API share one port: expected both")
    for address, port in ((websocket, "websocket"), (api, "api")):
        kind = (address.endpoint or "").partition(":")[0]
        if kind == "haproxy":
            raise StartupFault(
                f"{address.text}: believes whoever connects; leave haproxy: out, and give --proxy-protocol and"
                " --trusted-proxies"
            )
        if kind == "ssl" and chosen in ("both", port):
            raise StartupFault(
                f"{address.text}: with --proxy-protocol, TLS needs HOST:PORT and --tls-cert: PROXY headers come first"
            )
    return chosen


def read_path_prefix(values: Values) -> str:
    """Read what stands before the paths of the API: empty, or `/SEGMENT` once or several times.

    :raises StartupFault: it is neither, or it could be taken for a path of the API.
    """
    prefix = (values.text("path-prefix") or "").rstrip("/")
    if prefix and not re.fullmatch(r"(?:/[\w.~-]+)+", prefix, re.ASCII):
        raise StartupFault(f"{values.origin('path-prefix')} {prefix!r}: expected a path such as /realtime")
    if {"app", "apps", "users"}.intersection(prefix.split("/")):
        raise StartupFault(
            f"{values.origin('path-prefix')} {prefix!r}: app, apps and users have a meaning of their own"
        )
    return prefix
