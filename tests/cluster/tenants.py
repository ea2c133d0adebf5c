"""The apps of a cluster's settings file: one that is counted, one whose webhooks are heard."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from tests.cluster.case import running_cluster
from tests.cluster.nodes import Cluster
from tests.sdk.case import until_exit
from tests.sdk.tenants import Tenant, running_receiver

COUNTING = Tenant("21", "counting")
TELLING = Tenant("22", "telling")
OTHER = Tenant("23", "other")

TOLD = "/cluster"
"""The path at which `TELLING` is told, by whichever node."""


@functools.cache
def settings_file() -> Path:
    """Write the settings file."""
    file = Path(until_exit.enter_context(tempfile.TemporaryDirectory()), "slanger.toml")
    switches = {
        COUNTING: "subscription-counts = true",
        TELLING: f'webhooks = [{{ url = "{running_receiver().url(TOLD)}" }}]',
        OTHER: "",
    }
    file.write_text("\n".join(_table(tenant, text) for tenant, text in switches.items()))
    return file


def _table(tenant: Tenant, switches: str) -> str:
    credentials = f'id = "{tenant.id}"\nkey = "{tenant.key}"\nsecret = "{tenant.secret}"'
    return f"[[apps]]\n{credentials}\n{switches}\n"


def cluster_of_tenants() -> Cluster:
    """Give three nodes with these apps, beside that of the command line, which run until the tests are over."""
    return running_cluster(3, f"--config={settings_file()}")
