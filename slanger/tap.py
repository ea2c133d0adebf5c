"""`twistd slanger`: the options, and the process that they ask for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python import usage

from slanger import __version__
from slanger.assembly import assemble
from slanger.certificates import Certificate
from slanger.faults import StartupFault
from slanger.hangup import Hangup, held_back
from slanger.logs import WithLog, observer_for
from slanger.reload import Reload
from slanger.services.drain import LONGEST
from slanger.settings import OPTIONS, SWITCHES, MissingOption, Settings, as_environment, read_settings
from slanger.settings.help import usage_text
from slanger.signals import Signals, SignalsOfWorker
from slanger.systemd import Notify
from slanger.workers import TETHERED, Tether, Workers

COLUMNS = 100
"""Columns of `--help` where nothing says how wide the terminal is."""

BANNER = r"""
    .d8888b.  888
   d88P  Y88b 888
   Y88b.      888
    "Y888b.   888  8888b.  88888b.   .d88b.   .d88b.  888d888
       "Y88b. 888     "88b 888 "88b d88P"88b d8P  Y8b 888P"
         "888 888 .d888888 888  888 888  888 88888888 888
   Y88b  d88P 888 888  888 888  888 Y88b 888 Y8b.     888
    "Y8888P"  888 "Y888888 888  888  "Y88888  "Y8888  888
                                         888
                                    Y8b d88P
                                     "Y88P"
"""

_log = Logger()


class Options(usage.Options):
    """The options after the word `slanger`. Slanger's own spellings, with underscores, are understood too."""

    synopsis = "--app-key KEY --secret-file FILE [options]"
    optParameters = [[option.name, option.short, None, option.help] for option in OPTIONS]
    optFlags = [
        row
        for switch in SWITCHES
        for row in ([switch.name, switch.short, switch.help], [f"no-{switch.name}", None, f"Turn {switch.name} off."])
    ]
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self._understand_all_spellings()

    def opt_version(self) -> None:
        """Show slanger's version, and exit."""
        print(f"slanger {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *stray: str) -> None:
        """Take nothing that belongs to no option, such as a value after a switch."""
        if stray:
            raise usage.UsageError(f"{stray[0]!r} belongs to no option")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line, and check it together with the environment.

        :raises StartupFault: with what is wrong; where something is missing, usage is printed first.
        """
        try:
            super().parseOptions(options)
            self.settings = self.read()
            if self.settings.check:
                self._check()
        except usage.UsageError as fault:
            raise StartupFault(f"{fault}; twistd slanger --help shows the options") from None
        except MissingOption:
            print(self)
            raise

    def read(self) -> Settings:
        """Read the settings: those of the command line and the environment stay, what they name in files may not."""
        return read_settings(self.given(), os.environ)

    def getUsage(self, width: int | None = None) -> str:
        """Describe each option once, under its first spelling.

        :param width: columns of the terminal, by default what the environment says.
        """
        given = os.environ.get("COLUMNS", "")
        return usage_text(width or (int(given) if given.isdigit() else COLUMNS))

    def _understand_all_spellings(self) -> None:
        spellings = {name.rstrip("=").replace("-", "_"): name.rstrip("=") for name in self.longOpt}
        for option in OPTIONS:
            for name in option.spellings:
                spellings |= {name: option.name, name.replace("-", "_"): option.name}
        self.synonyms.update(spellings)
        takes_value = {option.name for option in OPTIONS}
        self.longOpt = list({*self.longOpt, *(f"{a}=" if b in takes_value else a for a, b in spellings.items())})

    def _check(self) -> NoReturn:
        """Say what the settings mean, having tried what can be tried without starting."""
        assemble(self.settings, Clock(), secrets.randbelow)
        print(self.settings.explain())
        raise SystemExit(0)

    def given(self) -> dict[str, str | bool]:
        """Give what stands on the command line, by the options' names."""
        given: dict[str, str | bool] = {option.name: self[option.name] for option in OPTIONS if self[option.name]}
        for switch in SWITCHES:
            if self[switch.name] or self[f"no-{switch.name}"]:
                given[switch.name] = not self[f"no-{switch.name}"]
        return given


class Greeting(Service):
    """Says who is here, before anything else does."""

    name = "greeting"
    _log = Logger()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def privilegedStartService(self) -> None:
        """Print the banner."""
        super().privilegedStartService()
        if self._settings.log_format == "text":
            self._log.info(BANNER)
        self._log.info("slanger {version} starts", event="start", version=__version__)
        if self._settings.redis is None:
            self._log.info("This node is alone, as --redis-url none asks", event="alone")

    def stopService(self) -> None:
        """Say that this was not an accident."""
        super().stopService()
        self._log.info("slanger {version} stops", event="stop", version=__version__)


def makeService(options: Options) -> IService:
    """Make what the options ask for; twistd calls this.

    :raises StartupFault: a certificate or an endpoint cannot be used.
    """
    from twisted.internet import reactor

    settings, number = options.settings, os.environ.get(TETHERED)
    if "secret" in options.given():
        _log.warn("the process list shows --secret to everybody on this machine; --secret-file FILE does not")
    service = _watch(options, reactor) if settings.workers > 1 else _serve(options, reactor)
    twistd: Mapping[str, Any] = options.parent or {}
    if twistd.get("logger"):
        return service
    always = {} if number is None else {"worker": int(number)}
    return WithLog(service, lambda: observer_for(settings.log_format, twistd, always))


def _serve(options: Options, reactor: Any) -> MultiService:
    """Make a node, as a process by itself or as a worker."""
    settings, is_worker = options.settings, TETHERED in os.environ
    clock = cast(IReactorTime, reactor)
    first = (Tether(reactor), SignalsOfWorker(reactor)) if is_worker else (Greeting(settings), Signals(reactor))
    node = assemble(settings, clock, secrets.randbelow, os.environ, _in_thread(options.read, reactor), first)
    reload = cast(Reload, node.getServiceNamed(Reload.name))
    Hangup(reactor, reload.reload).setServiceParent(node)
    return node


def _watch(options: Options, reactor: Any) -> MultiService:
    """Make what watches workers, and serves nobody itself."""
    settings = options.settings
    given = {**settings.fixed, **options.given(), "workers": "1", "reuse-port": True}
    places = [(address.host, address.port) for address in (settings.websocket, settings.api)]
    notify = Notify(reactor, os.environ, lambda: f"{settings.workers} workers")
    workers = Workers(reactor, settings.workers, as_environment(given, os.environ), places, notify=notify)
    workers.kill_after(settings.drain_seconds + LONGEST)

    def pass_on(new: Settings, certificate: Certificate | None) -> str:
        workers.kill_after(new.drain_seconds + LONGEST)
        return f"{workers.hang_up()} workers do the same"

    reload = Reload(settings, _in_thread(options.read, reactor), pass_on, notify)
    watching = MultiService()
    for service in (
        Greeting(settings),
        Signals(reactor, workers.kill),
        reload,
        Hangup(reactor, reload.reload),
        workers,
    ):
        service.setServiceParent(watching)
    return watching


def _in_thread(read: Callable[[], Settings], reactor: Any) -> Callable[[], Deferred[Settings]]:
    def read_in_thread() -> Deferred[Settings]:
        with held_back():  # from a thread that is started for it, too: SIGHUP is for this one
            return deferToThreadPool(reactor, reactor.getThreadPool(), read)

    return read_in_thread
