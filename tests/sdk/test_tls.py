"""TLS, verified by official clients against a certificate authority that they trust."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from unittest import mock

import trustme

from tests.sdk import contract
from tests.sdk.case import ClientTestCase, fresh, over_tls, running_driver, running_server, until_exit
from tests.sdk.driver import DriverError
from tests.sdk.sdks import NodeSdk, PythonSdk, Sdk
from tests.sdk.test_pysher import PysherClient
from tests.server import Server


@functools.cache
def authority() -> Path:
    """Make an authority and its certificate for `localhost`, that last until the tests are over.

    :return: a folder with `authority.pem`, `certificate.pem` (with its chain) and `key.pem`.
    """
    folder = Path(until_exit.enter_context(tempfile.TemporaryDirectory()))
    ca = trustme.CA()
    certificate = ca.create_child_ca().issue_cert("localhost")
    ca.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "certificate.pem", append=True)
    return folder


def tls_server(*, one_port: bool = False) -> Server:
    """Give a server whose ports speak TLS."""
    folder = authority()
    return running_server(
        f"--tls-cert={folder / 'certificate.pem'}", f"--tls-key={folder / 'key.pem'}", one_port=one_port
    )


class TlsTestCase(ClientTestCase):
    """Clients that trust the authority."""

    where = staticmethod(over_tls)
    one_port = False

    def setUp(self) -> None:
        """Find a server that speaks TLS, and a driver that trusts its certificate."""
        self.use_server(tls_server(one_port=self.one_port))
        self.use_driver(running_driver(authority() / "authority.pem"))

    def python_sdk(self, **options: str) -> PythonSdk:
        """Make the Python SDK trust the authority; it trusts only its own list unless its backend is told."""
        sdk = PythonSdk(self.server, host="localhost", ssl=True, **options)
        sdk.pusher._pusher_client.http.options["verify"] = str(authority() / "authority.pem")
        return sdk


class Clients(TlsTestCase):
    """Clients over wss."""

    def test_pusher_js(self) -> None:
        """Connection URL: pusher-js connects with `forceTLS`, subscribes, and hears the others."""
        ann, bob = self.connected("ann"), self.connected("bob")
        for kind in ("private-room", "presence-room"):
            channel = fresh(kind)
            for client in (ann, bob):
                client.subscribe(channel)
            ann.trigger(channel, "client-hello", {"text": "x" * 5000})
            self.assertEqual(bob.expect("client-hello", channel).data, {"text": "x" * 5000})

    def test_platform_websocket(self) -> None:
        """Connection URL: a build for browsers connects too; these name HTTP already in the TLS handshake."""
        self.connected(library="pusher-js/with-encryption")

    def test_laravel_echo(self) -> None:
        """Connection URL: Laravel Echo connects with `forceTLS`."""
        self.connected(library="echo")

    def test_pysher(self) -> None:
        """Connection URL: Pysher connects with `secure=True`."""
        with mock.patch.dict(os.environ, {"WEBSOCKET_CLIENT_CA_BUNDLE": str(authority() / "authority.pem")}):
            client = PysherClient(self.server, secure=True, custom_host="localhost").established()
        self.addCleanup(client.leave)
        client.subscribe(fresh("presence-room"))

    def test_untrusted(self) -> None:
        """REST API: who does not trust the authority is warned; so the clients of these tests do look."""
        stranger = NodeSdk(running_driver(), self.server, host="localhost", useTLS=True)
        error = self.assertRaises(DriverError, stranger.trigger, ["news"], "price-changed", {})
        self.assertIn("certificate", str(error))


class ClientsOnOnePort(Clients):
    """The same where WebSockets and REST API share a port."""

    one_port = True


class Python(TlsTestCase, contract.SdkContract):
    """`pusher` for Python, over https."""

    def setUp(self) -> None:
        """Make the SDK."""
        super().setUp()
        self.sdk = self.make_sdk()

    def make_sdk(self, **options: str) -> Sdk:
        """Give the SDK of these tests."""
        return self.python_sdk(**options)


class Node(TlsTestCase, contract.SdkContract):
    """`pusher` for Node, over https."""

    def setUp(self) -> None:
        """Make the SDK."""
        super().setUp()
        self.sdk = self.make_sdk()

    def make_sdk(self, **options: str) -> Sdk:
        """Give the SDK of these tests."""
        return NodeSdk(self.driver, self.server, host="localhost", useTLS=True, **options)


class PythonOnOnePort(Python):
    """The same where WebSockets and REST API share a port."""

    one_port = True


class NodeOnOnePort(Node):
    """The same where WebSockets and REST API share a port."""

    one_port = True
