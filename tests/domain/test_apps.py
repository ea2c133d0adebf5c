"""Apps and their directory."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.apps import App, Apps, Changes
from tests.builders import KEY, make_app, make_endpoint


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


def everything_else(app: App) -> App:
    """Give an app with the same key and no other value the same."""
    changes: dict[str, Any] = {"secret": "other", "id": "other", "webhooks": (make_endpoint(),)}
    for each in fields(app):
        value = getattr(app, each.name)
        if each.name not in ("key", *changes):
            changes[each.name] = (
                not value if isinstance(value, bool) else value + (1 if isinstance(value, int) else ("x",))
            )
    return replace(app, **changes)


class Swapping(SynchronousTestCase):
    """Other apps, or the same with other settings."""

    def test_told(self) -> None:
        """Reload: the directory tells which apps came, went and changed; those that are as they were are not told."""
        apps = Apps([make_app("same"), make_app("other"), make_app("old")])
        changes = apps.swap([make_app("new"), make_app("other", client_events=False), make_app("same")])
        self.assertEqual(
            [[app.key for app in each] for each in (changes.added, changes.changed, changes.removed)],
            [["new"], ["other"], ["old"]],
        )
        self.assertEqual([app.key for app in apps], ["new", "other", "same"])
        self.assertIsNone(apps.with_key("old"))
        self.assertEqual(apps.swap([make_app("same"), *(app for app in apps if app.key != "same")]), Changes())
        self.assertFalse(Changes())

    def test_same_object(self) -> None:
        """Reload: whoever holds an app has its new settings at once, every one of them."""
        held = make_app()
        apps, new = Apps([held]), everything_else(held)
        for each in fields(App):
            self.assertEqual(getattr(new, each.name) == getattr(held, each.name), each.name == "key", each.name)
        apps.swap([new])
        self.assertIs(apps.with_key(KEY), held)
        self.assertEqual(held, new)

    def test_removed_and_back(self) -> None:
        """Reload: an app that is removed is told nothing more; one that comes back is the one that was held."""
        held = make_app(webhooks=(make_endpoint(),))
        apps = Apps([held, make_app("other")])
        apps.swap([make_app("other")])
        self.assertEqual(held.webhooks, ())
        back = make_app(webhooks=(make_endpoint(),), presence_members=7)
        self.assertEqual(apps.swap([make_app("other"), back]).added, (held,))
        self.assertIs(apps.with_key(KEY), held)
        self.assertEqual(held, back)

    def test_shared_key(self) -> None:
        """Reload: two apps with one key are a fault, and nothing has changed then."""
        apps = Apps([make_app(id="1")])
        self.assertRaises(ValueError, apps.swap, [make_app(id="2"), make_app("other"), make_app(id="3")])
        self.assertEqual([(app.key, app.id) for app in apps], [(KEY, "1")])

    def test_largest(self) -> None:
        """Limits: the largest message and request are those of the apps as they are now; without apps they are 0."""
        large, small = make_app(event_data_bytes=10**6), make_app()
        apps = Apps([large])
        self.assertEqual((apps.message_bytes, apps.body_bytes), (large.message_bytes, large.body_bytes))
        apps.swap([make_app("other"), small])
        self.assertEqual((apps.message_bytes, apps.body_bytes), (small.message_bytes, small.body_bytes))
        apps.swap([])
        self.assertEqual((apps.message_bytes, apps.body_bytes), (0, 0))
