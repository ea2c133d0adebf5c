"""What operators are handed fits what a server says: the dashboard, the alerts, the table of metrics."""

from __future__ import annotations

import configparser
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.metrics import described
from slanger.settings.apps import CREDENTIAL
from tests.cluster.nodes import Node
from tests.cluster.redis import RedisServer
from tests.scraping import Scrape, scrape

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
VARIABLES = {"$__rate_interval": "5m", "$app": ".*", "$instance": ".*"}
"""What Grafana fills in before Prometheus sees an expression."""

OF_PROMETHEUS = {"up"}


def members(value: Any, name: str) -> Iterator[Any]:
    """Find every member of a name, however deep."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == name:
                yield each
            yield from members(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from members(each, name)


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Parse an expression; give each metric it names, and the labels it chooses by."""
    found: list[tuple[str, set[str]]] = []

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((str(node.name), {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


@functools.cache
def real_scrape() -> Scrape:
    """Scrape a node with Redis."""
    with RedisServer() as redis, Node(redis.url, "--metrics", "--soketi-metrics") as node:
        return scrape(node.api_port)


class OperationsTests(SynchronousTestCase):
    """Against a real scrape of a node with Redis."""

    def setUp(self) -> None:
        """Scrape, once for all."""
        self.told = real_scrape()
        self.names = {
            family.name + suffix
            for family in self.told.families.values()
            for suffix in SUFFIXES.get(family.type, ("",))
        }

    def assert_known(self, expressions: list[str]) -> None:
        """Check that each expression can be parsed, and speaks of metrics that there are."""
        spoken_of = {name for expression in expressions for name, _ in selectors(expression)}
        self.assertEqual(spoken_of - self.names - OF_PROMETHEUS, set())

    def test_dashboard(self) -> None:
        """Grafana: each expression of the dashboard is PromQL, and of metrics that there are."""
        dashboard = json.loads((OPERATIONS / "grafana.json").read_text(encoding="utf-8"))
        expressions = list(members(dashboard, "expr"))
        self.assertGreater(len(expressions), 30)
        for variable, text in VARIABLES.items():
            expressions = [expression.replace(variable, text) for expression in expressions]
        self.assertNotIn("$", "".join(expressions))
        self.assert_known(expressions)
        queries = [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
        asked = [re.fullmatch(r"label_values\((\w+), \w+\)", query) for query in queries]
        self.assertEqual({found[1] for found in asked if found} - self.names, set())
        self.assertEqual(len([found for found in asked if found]), 2)

    def test_dashboard_model(self) -> None:
        """Grafana: its own model of a dashboard knows every member of the file, and keeps each."""
        dashboard = json.loads((OPERATIONS / "grafana.json").read_text(encoding="utf-8"))
        register_default_plugins()
        kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
        self.assertEqual(lost(dashboard, kept), [])
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)

    def test_alerts(self) -> None:
        """Prometheus: each alert's expression is PromQL, and of metrics that there are."""
        rules = (OPERATIONS / "alerts.yml").read_text(encoding="utf-8")
        expressions = re.findall(r"^ +expr: (.+)$", rules, re.MULTILINE)
        self.assertEqual(len(expressions), rules.count("- alert:"))
        self.assertGreater(len(expressions), 5)
        self.assert_known(expressions)

    def test_described(self) -> None:
        """Metrics: the table of the documentation has each metric of ours that is scraped, and no other."""
        ours = {name for name, family in self.told.families.items() if name.startswith("slanger_")}
        documented = {figure.called.removesuffix("_total") for figure in described()}
        self.assertEqual(ours, documented)

    def test_texts(self) -> None:
        """Metrics: each says what it is, in a sentence."""
        for family in self.told.families.values():
            if family.name.startswith(("slanger_", "soketi_")):
                self.assertRegex(family.documentation, r"^(?:[A-Z1]).{10,}\.$" if "soketi" not in family.name else ".")


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Name what is in one value and not in the other."""
    if isinstance(given, dict):
        kept = kept if isinstance(kept, dict) else {}
        return [each for key, value in given.items() for each in lost(value, kept.get(key), f"{path}/{key}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [each for index, (one, other) in pairs for each in lost(one, other, f"{path}/{index}")]
    return [] if given == kept else [path]


class UnitTests(SynchronousTestCase):
    """The units for systemd, as far as the server counts on them."""

    def test_promises(self) -> None:
        """systemd: both units start a node that tells how it is, is watched, and takes its secrets as credentials."""
        for name, credential in (("slanger.service", CREDENTIAL), ("slanger@.service", "slanger.toml")):
            service = unit(name)["Service"]
            self.assertEqual(
                (service["Type"], service["KillMode"], service["Restart"]), ("notify", "mixed", "on-failure")
            )
            self.assertEqual(service["LoadCredential"].partition(":")[0], credential)
            self.assertGreater(int(service["WatchdogSec"]), 10)
            self.assertGreater(int(service["LimitNOFILE"]), 100_000)
            self.assertIn("twistd -n --pidfile= slanger", service["ExecStart"])
        self.assertIn("-HUP $MAINPID", unit("slanger.service")["Service"]["ExecReload"])
        self.assertIn("--config %d/slanger.toml", unit("slanger@.service")["Service"]["ExecStart"])

    def test_alike(self) -> None:
        """systemd: what the units differ in is what they run, and where its settings come from."""
        one, many = (dict(unit(name)["Service"]) for name in ("slanger.service", "slanger@.service"))
        differing = {name for name in {*one, *many} if one.get(name) != many.get(name)}
        self.assertEqual(differing, {"ExecStart", "ExecReload", "EnvironmentFile", "LoadCredential"})

    def test_sockets(self) -> None:
        """systemd: the sockets are those of the service, by the names that the documentation gives the options."""
        page = (OPERATIONS / "systemd.rst").read_text(encoding="utf-8")
        for name in ("websocket", "api"):
            section = unit(f"slanger-{name}.socket")["Socket"]
            self.assertEqual((section["FileDescriptorName"], section["Service"]), (name, "slanger.service"))
            self.assertIn(f"=systemd:{name}", page)


def unit(name: str) -> configparser.ConfigParser:
    """Read a unit; of a line that is written twice, the last one counts."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(OPERATIONS / name, encoding="utf-8")
    return parser
