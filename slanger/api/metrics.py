"""All metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import Leaf, Reply, plain_text

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format, which every version of it reads."""


class Metrics(Leaf):
    """`/metrics`: what this process counts. Nobody has to sign for it, so it is served only where that was asked for.

    :param scrape: writes it.
    """

    def __init__(self, scrape: Callable[[], bytes]) -> None:
        super().__init__()
        self._scrape = scrape

    def answer(self, request: SignedRequest) -> Reply:
        """Write all metrics."""
        if request.method not in ("GET", "HEAD"):
            return plain_text(405, "405 METHOD NOT ALLOWED: this path takes GET", "GET")
        return Reply(200, CONTENT_TYPE, self._scrape())
