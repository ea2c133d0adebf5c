"""Apps and their directory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.apps import Apps
from tests.builders import KEY, make_app


class Directory(SynchronousTestCase):
    """Finding an app."""

    def test_with_key(self) -> None:
        """An app is found by its exact key, hyphens included; no other key finds one."""
        first, second = make_app(), make_app("my-key")
        apps = Apps([first, second])
        self.assertIs(apps.with_key(KEY), first)
        self.assertIs(apps.with_key("my-key"), second)
        for key in ("", KEY.upper(), KEY[:-1], "my"):
            self.assertIsNone(apps.with_key(key))

    def test_shared_key(self) -> None:
        """Two apps with one key are a fault, which names the key."""
        fault = self.assertRaises(ValueError, Apps, [make_app(id="1"), make_app(id="2")])
        self.assertIn(KEY, str(fault))

    def test_any_id(self) -> None:
        """An app without an id answers to any."""
        self.assertTrue(Apps([make_app()]).any_answers_to("123"))

    def test_own_id(self) -> None:
        """An app with an id answers to it alone."""
        apps = Apps([make_app(id="3"), make_app("other", id="4")])
        self.assertEqual([apps.any_answers_to(app_id) for app_id in ("3", "4", "5", "")], [True, True, False, False])
        self.assertTrue(make_app(id="3").answers_to("3"))
        self.assertFalse(make_app(id="3").answers_to("4"))
