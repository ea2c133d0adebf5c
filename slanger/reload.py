"""New settings for a running process: read and checked as a whole, then taken over in one step, or not at all.

`Reload` is the way there, for any process; `Parts` are the parts of a node that take them over, in order. An app is
one object for as long as it is served, and its directory writes the new settings into it: so each connection, channel
and queue that holds the app has them at once, without being told, and nothing is looked up while messages pass. An
option of the node is written to each part that has an attribute of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.certificates import Certificate, read_certificate
from slanger.domain.apps import Apps, Changes
from slanger.domain.limits import Limited, Limits
from slanger.faults import StartupFault
from slanger.interfaces import IBroker
from slanger.renewal import Renewal
from slanger.services.subscribers import Subscribers
from slanger.services.webhooks import Webhooks
from slanger.settings import LIVE, Settings
from slanger.systemd import Notify
from slanger.tallies import Tallies


class Reload(Service):
    """Read the settings again, from where they were read at the start.

    :param started: the settings that the process began with: what is fixed stays as it is there.
    :param read: reads them again; with many apps that takes a while, in which it keeps nobody waiting.
    :param notify: tells systemd that it is under way.
    :param take_over: puts them into force; it tells what has changed, in words, and never fails.
    """

    name = "reload"
    _log = Logger()

    def __init__(
        self,
        started: Settings,
        read: Callable[[], Deferred[Settings]],
        take_over: Callable[[Settings, Certificate | None], str],
        notify: Notify | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        self._started = started
        self._read = read
        self._take_over = take_over
        self._notify = notify
        self._outcomes = (tallies or Tallies()).reloads
        self._wanted = self._under_way = False

    def reload(self) -> None:
        """Put what can be had of the new settings into force; where anything is wrong with them, nothing.

        Asked for while it is under way, it is done once more.
        """
        self._wanted = True
        if not self._under_way:
            self._under_way = True
            Deferred.fromCoroutine(self._reload_all()).addErrback(self._failed)

    async def _reload_all(self) -> None:
        while self._wanted and self.running:
            self._wanted = False
            if self._notify is not None:
                self._notify.reloading()
            try:
                await self._reload()
            finally:
                if self._notify is not None:
                    self._notify.reloaded()
        self._under_way = False

    async def _reload(self) -> None:
        try:
            settings = await self._read()
            certificate = self._read_certificate(settings)
        except StartupFault as fault:
            self._outcomes["refused",] += 1
            self._log.error("the settings stay as they were: {fault}", event="reload_refused", fault=fault)
            return
        except Exception:
            self._outcomes["refused",] += 1
            self._log.failure("the settings stay as they were: reading them failed", event="reload_refused")
            return
        if not self.running:
            return
        for name in self._started.needs_restart(settings):
            text = "the new value of {option} needs a restart, and is not in force"
            self._log.warn(text, event="needs_restart", option=name)
        changes = self._take_over(settings, certificate)
        self._outcomes["taken over",] += 1
        self._log.info("the settings were read again: {changes}", event="reloaded", changes=changes)

    def _read_certificate(self, settings: Settings) -> Certificate | None:
        if self._started.tls_cert is None or settings.tls_cert is None or settings.tls_key is None:
            return None
        return read_certificate(settings.tls_cert, settings.tls_key)

    def _failed(self, failure: Failure) -> None:
        self._under_way = False
        self._log.failure("taking new settings over failed", failure)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a node that settings concern.

    :param renewal: where there is a certificate.
    :param limited: those that go by limits of the node.
    :param others: those that have options of the node as attributes.
    """

    apps: Apps
    broker: IBroker
    webhooks: Webhooks
    subscribers: Subscribers
    renewal: Renewal | None
    tallies: Tallies
    limited: tuple[Limited, ...]
    others: tuple[object, ...]

    def take_over(self, settings: Settings, certificate: Certificate | None) -> str:
        """Put new settings into force: first what is served and how, then farewell to those that are served no more."""
        changes = self.apps.swap(settings.apps)
        self.show_apps()
        options = [*self._write(settings), *self._limit(settings.limits.fitting(self.apps))]
        self.broker.serve(changes.added, changes.removed)
        self.webhooks.tidy(self.apps)
        if certificate is not None and self.renewal is not None:
            self.renewal.use(certificate)
        disabled = [app for app in changes.changed if not app.enabled]
        self.subscribers.dismiss({app.key for app in (*changes.removed, *disabled)})
        return _words(changes, options)

    def show_apps(self) -> None:
        """Have metrics show every app."""
        for app in self.apps:
            self.tallies.show(app)

    def _limit(self, limits: Limits) -> list[str]:
        """Have the parts go by other limits; tell which of these have changed."""
        before = self.subscribers.limits
        for part in self.limited:
            part.apply(limits)
        names = [each.name for each in fields(limits) if getattr(before, each.name) != getattr(limits, each.name)]
        return [name.replace("_", "-") for name in names]

    def _write(self, settings: Settings) -> list[str]:
        """Write the options of the node to the parts that have them; tell which have changed."""
        changed = []
        for option in LIVE:
            name = option.name.replace("-", "_")
            value = getattr(settings, name)
            heeding = [part for part in self.others if getattr(part, name, value) != value]
            for part in heeding:
                setattr(part, name, value)
            changed += [option.name] * bool(heeding)
        return changed


def _words(changes: Changes, options: list[str]) -> str:
    told = {
        "apps added": [app.key for app in changes.added],
        "apps changed": [app.key for app in changes.changed],
        "apps removed": [app.key for app in changes.removed],
        "options changed": options,
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names) or "nothing has changed"
