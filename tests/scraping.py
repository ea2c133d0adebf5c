"""What a server tells Prometheus, read by the parser of Prometheus's own library."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.server import PATIENCE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Scrape:
    """All metrics of one moment.

    :ivar families: by their names, a counter's without ``_total``.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: Mapping[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Give a sample by its whole name and labels, those that begin with ``slanger_`` without that."""
        for whole in (name, f"slanger_{name}"):
            if (whole, frozenset(labels.items())) in self._samples:
                return self._samples[whole, frozenset(labels.items())]
        return 0.0

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Give every sample of a name that is not 0, by some labels."""
        return {
            tuple(dict(given)[label] for label in labels): value
            for (whole, given), value in self._samples.items()
            if whole == f"slanger_{name}" and value
        }

    @property
    def samples(self) -> Iterable[str]:
        """Name every sample."""
        return {name for name, _ in self._samples}


def scrape(port: int, path: str = "/metrics") -> Scrape:
    """Ask a server for its metrics, as Prometheus does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == CONTENT_TYPE, answer.headers
        return Scrape(answer.read().decode())
