"""The OpenAPI description of the REST API, held against the code; `tests.fuzzing.schema` holds it against a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from slanger.api import batch, channels, events, health, users
from slanger.api.endpoint import Endpoint, Leaf, Nowhere
from slanger.api.parameters import ATTRIBUTES
from slanger.protocol import names
from tests.api.requests import ApiTestCase, request_bytes

FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"
LEAVES = {
    each
    for module in (batch, channels, events, health, users)
    for each in vars(module).values()
    if isinstance(each, type)
    and issubclass(each, Leaf)
    and each.__module__ == module.__name__
    and each.__name__[0] != "_"
}
"""All that answers something."""


class DescriptionTests(ApiTestCase):
    """What the description says is so, and it says all there is."""

    def setUp(self) -> None:
        """Read it."""
        super().setUp()
        self.description: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        self.paths: dict[str, Any] = self.description["paths"]
        self.schemas: dict[str, Any] = self.description["components"]["schemas"]

    def leaf(self, path: str) -> Leaf:
        """Find what answers a path of the description."""
        return self.site.root.leaf(path.format(app_id="3", channel="news", user_id="ann"))

    def test_paths(self) -> None:
        """Each path is answered, and nothing answers that is not described."""
        self.assertEqual({type(self.leaf(path)) for path in self.paths}, LEAVES)
        self.assertIsInstance(self.leaf("/apps/{app_id}/nothing"), Nowhere)

    def test_methods(self) -> None:
        """Each path takes the methods that are described, and no others."""
        for path, operations in self.paths.items():
            described = set(operations) - {"parameters"}
            leaf = self.leaf(path)
            taken = {name for name in ("get", "post") if hasattr(leaf, name)} if isinstance(leaf, Endpoint) else {"get"}
            self.assertEqual(described, taken, path)

    def test_signed(self) -> None:
        """All but the node's own health asks for a signature, by the parameters that are described."""
        (needed,) = self.description["security"]
        self.assertEqual(
            {scheme["name"] for scheme in self.description["components"]["securitySchemes"].values()}, {*needed}
        )
        for path, operations in self.paths.items():
            for method in set(operations) - {"parameters"}:
                target = path.format(app_id="3", channel="news", user_id="ann")
                status = self.ask(request_bytes(method.upper(), target)).status
                self.assertEqual(status, 200 if operations[method].get("security") == [] else 401, path)

    def test_limits(self) -> None:
        """Limits are those of the code."""
        trigger = self._body("/apps/{app_id}/events")["allOf"][1]["properties"]["channels"]
        self.assertEqual(trigger["maxItems"], names.EVENT_CHANNELS)
        self.assertEqual(
            self._body("/apps/{app_id}/batch_events")["properties"]["batch"]["maxItems"], names.BATCH_EVENTS
        )
        self.assertEqual(self.schemas["ChannelName"]["maxLength"], names.CHANNEL_NAME_LENGTH)
        self.assertEqual(self.schemas["EventName"]["maxLength"], names.EVENT_NAME_LENGTH)
        self.assertEqual(self.schemas["Event"]["properties"]["data"]["maxLength"], names.EVENT_DATA_BYTES)

    def test_parameters(self) -> None:
        """Parameters are those that are read, and attributes those that can be asked for."""
        self.assertEqual(set(self.schemas["Attributes"]["properties"]), set(ATTRIBUTES))
        described = set(self.schemas["Event"]["properties"])
        self.assertEqual(described | {"channel", "channels"}, set(events.Trigger.__struct_fields__))
        item = self._body("/apps/{app_id}/batch_events")["properties"]["batch"]["items"]["allOf"][1]
        self.assertEqual(described | set(item["properties"]), set(batch._Item.__struct_fields__))

    def _body(self, path: str) -> Any:
        return self.paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
