"""What official clients make of settings that change beneath them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.sdk.case import ClientTestCase, fresh
from tests.sdk.sdks import PythonSdk
from tests.sdk.tenants import Tenant
from tests.server import Server

KEPT, GONE = Tenant("41", "kept"), Tenant("42", "gone")


class ReloadTests(ClientTestCase):
    """A server of this test's own, whose settings file changes."""

    def setUp(self) -> None:
        """Start it with two apps."""
        super().setUp()
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory()), "slanger.toml")
        self.write("", "")
        self.use_server(self.enterContext(Server(f"--config={self.file}")))

    def write(self, *tables: str) -> None:
        """Write the settings file: what the table of each app holds beside its credentials, or None for no such app."""
        credentials = (f'id = "{each.id}"\nkey = "{each.key}"\nsecret = "{each.secret}"' for each in (KEPT, GONE))
        self.file.write_text(
            "".join(f"[[apps]]\n{each}\n{table}\n" for each, table in zip(credentials, tables, strict=False))
        )

    def test_sent_away(self) -> None:
        """Reload: pusher-js is told that its app is disabled, or gone, and stays away; other apps notice nothing."""
        for code, tables in ((4003, ("", "enabled = false")), (4001, ("",))):
            self.write("", "")
            self.server.hang_up()
            kept, gone = self.connected(**KEPT.credentials), self.connected(**GONE.credentials)
            channel = fresh("private-room")
            for client in (kept, gone):
                client.subscribe(channel)
            self.write(*tables)
            self.server.hang_up()
            self.assertEqual(gone.expect_error()["code"], code)
            gone.expect("disconnected")
            self.assertEqual(gone.state, "disconnected")
            PythonSdk(self.server, key=KEPT.key, secret=KEPT.secret, app_id=KEPT.id).trigger([channel], "price", {})
            kept.expect("price", channel)
            self.assertEqual(kept.state, "connected")
            late = self.client(**GONE.credentials)
            self.assertEqual(late.expect_error()["code"], code)

    def test_switched_off(self) -> None:
        """Reload: client events that are switched off are refused at once, on connections that are there."""
        ann, bob = self.connected(**KEPT.credentials), self.connected(**KEPT.credentials)
        channel = fresh("private-room")
        for client in (ann, bob):
            client.subscribe(channel)
        ann.trigger(channel, "client-one")
        bob.expect("client-one", channel)
        self.write("client-events = false")
        self.server.hang_up()
        ann.trigger(channel, "client-two")
        ann.expect_error(lambda error: "must enable" in error["message"])
        self.assertEqual(bob.seen("client-two", channel), [])
