"""One server with several apps, from a settings file; each app has other switches, and other webhooks."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sdk.case import ClientTestCase, running_server, until_exit
from tests.sdk.receiver import DEAF, ELSEWHERE, REPENTANT, Receiver
from tests.sdk.sdks import NodeSdk, PythonSdk, Sdk
from tests.server import Server


@dataclass(frozen=True)
class Tenant:
    """An app of the settings file.

    :param id: what REST paths call it.
    """

    id: str
    name: str

    @property
    def credentials(self) -> dict[str, Any]:
        """Give what its clients are made with."""
        return {"key": self.key, "secret": self.secret, "auth_key": self.key}

    @property
    def key(self) -> str:
        """Give the key."""
        return f"{self.name}-key"

    @property
    def secret(self) -> str:
        """Give the secret."""
        return f"{self.name}-secret"


BLUE = Tenant("11", "blue")
RED = Tenant("12", "red")
COUNTING = Tenant("13", "counting")
STRICT = Tenant("14", "strict")
FORGIVING = Tenant("15", "forgiving")
TELLING = Tenant("16", "telling")
TROUBLED = Tenant("17", "troubled")
QUIET = Tenant("18", "quiet")

SETTINGS = {
    BLUE: 'webhooks = [{ url = "@/blue" }]',
    RED: 'webhooks = [{ url = "@/red" }]',
    COUNTING: "subscription-counts = true",
    STRICT: "authorized-connections = true\nauthorization-timeout = 1",
    FORGIVING: "termination-code = 4200\nwatchlist-users = 2",
    TELLING: """
        subscription-counts = true
        webhooks = [
            { url = "@/each", headers = { X-Team = "chat", Authorization = "Bearer of news" } },
            { url = "@/batched", batch = true },
            { url = "@/rooms", channels = ["presence-*", "private-orders-*"] },
            { url = "@/connections", events = ["connection_opened", "connection_closed"] },
        ]""",
    TROUBLED: f"""
        webhooks = [
            {{ url = "@{REPENTANT}", channels = ["repent-*"] }},
            {{ url = "@{DEAF}", channels = ["deaf-*"] }},
            {{ url = "@{ELSEWHERE}", channels = ["elsewhere-*"] }},
            {{ url = "@/prompt" }},
        ]""",
    QUIET: "watchlists = false",
}
"""What stands in the table of each app beside its credentials; `@` is the receiver's URL."""


@functools.cache
def running_receiver() -> Receiver:
    """Give a receiver that runs until the tests are over."""
    return until_exit.enter_context(Receiver())


@functools.cache
def server_of_tenants() -> Server:
    """Give a server with all these apps, beside that of the command line."""
    file = Path(until_exit.enter_context(tempfile.TemporaryDirectory()), "slanger.toml")
    file.write_text("\n".join(_table(tenant).replace("@", running_receiver().url("")) for tenant in SETTINGS))
    return running_server(f"--config={file}")


def _table(tenant: Tenant) -> str:
    credentials = f'id = "{tenant.id}"\nkey = "{tenant.key}"\nsecret = "{tenant.secret}"'
    return f"[[apps]]\n{credentials}\n{SETTINGS[tenant]}\n"


class TenantTestCase(ClientTestCase):
    """Tests with several apps on one server, and with a receiver of their webhooks."""

    def setUp(self) -> None:
        """Find the server and the receiver."""
        super().setUp()
        self.use_server(server_of_tenants())
        self.receiver = running_receiver()

    def sdks(self, tenant: Tenant) -> list[Sdk]:
        """Give the SDKs of an app: that for Python, and that for Node."""
        options = {"key": tenant.key, "secret": tenant.secret, "app_id": tenant.id}
        return [PythonSdk(self.server, **options), NodeSdk(self.driver, self.server, **options)]
