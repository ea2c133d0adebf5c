"""How the log is written: text for people, or an object of JSON per line for machines (`--log-format`).

Either way nothing that a client says can forge a line: whatever stands in a field has its newlines and control
characters escaped. Twistd asks the application for an observer before it makes one of its own; `WithLog` gives it ours,
which writes to where twistd was told to: its `--logfile`, `--syslog`, or stdout.
"""

from __future__ import annotations

import re
import signal
import string
import sys
import syslog
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel, formatTime
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from slanger.faults import StartupFault

Line = Callable[[LogEvent], str | None]
"""Writes an event as text, with a newline at its end; None for one that says nothing."""

OWN = ("time", "level", "namespace", "event", "message", "exception", "traceback")
"""What each object of the JSON log may hold, beside the fields of its event."""

OF_WORKER = {"tag", "line", "stream"}
"""Members of events that pass on what another process says, as Twisted's `ProcessMonitor` makes them."""

LEGACY = frozenset(("isError", "system", "failure", "format", "printed", "text"))
"""Members of events that come from Twisted's older logging; so does the `why` of an error."""

_OF_PORTS = re.compile(r".+ starting on \S+|\((?:.+ )?Port \S+ Closed\)")
"""What Twisted says of ports by itself; `services.listening` says whose they are, and where."""

_OF_OURS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}) (\[.+)")
"""A line of text as it is written here: its time, and the rest."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PRIORITIES = {
    LogLevel.debug: syslog.LOG_DEBUG,
    LogLevel.info: syslog.LOG_INFO,
    LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR,
    LogLevel.critical: syslog.LOG_CRIT,
}


def escape(text: str) -> str:
    """Escape what could begin a line, or do something to a terminal; a tab can do neither."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Formatter(string.Formatter):
    """Fills a format in; `{name()}` calls, as Twisted's does. What it fills in is escaped."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if field_name.endswith("()"):
            value, first = super().get_field(field_name[:-2], args, kwargs)
            return value(), first
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        return escape(super().format_field(value, format_spec))


_formatter = _Formatter()


def message_of(event: LogEvent) -> str:
    """Write what an event says; newlines are only those of its format, which is ours."""
    form = event.get("log_format")
    if form is None:
        return ""
    try:
        return _formatter.vformat(form.decode() if isinstance(form, bytes) else str(form), (), event)
    except Exception as fault:
        return f"an event that cannot be written ({escape(repr(fault))}): {escape(repr(form))}"


def text_line(event: LogEvent) -> str | None:
    """Write an event as a line of text; what belongs to it and has lines of its own is indented.

    A line of a worker stays as the worker wrote it, and says whose it is.
    """
    if event.keys() >= OF_WORKER and (own := _OF_OURS.fullmatch(escape(event["line"]))):
        return f"{own[1]} [{event['tag']}] {own[2]}\n"
    message, failure = message_of(event), event.get("log_failure")
    if not message and failure is None:
        return None
    if failure is not None:
        message = f"{message}\n{_traceback(failure)}"
    system = event.get("log_system") or f"{event.get('log_namespace', '-')}#{_level(event)}"
    indented = message.replace("\n", "\n\t")
    return f"{formatTime(event.get('log_time'))} [{escape(str(system))}] {indented}\n"


def json_line(event: LogEvent, always: Mapping[str, object]) -> str | None:
    """Write an event as one object of JSON: first who says what and when, then the event's own fields.

    :param always: fields of every event.
    """
    if event.keys() >= OF_WORKER and _is_ours(event):
        return f"{event['line']}\n"
    message, failure = message_of(event), event.get("log_failure")
    if not message and failure is None:
        return None
    time = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    said: dict[str, object] = {
        "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": _level(event),
        "namespace": event.get("log_namespace", "-"),
        "event": event.get("event", "log"),
        "message": message,
        **always,
    }
    hidden = {*LEGACY, *OWN, *(["why"] if event.get("isError") else [])}
    for name, value in event.items():
        if not name.startswith("log_") and name not in hidden:
            said[name] = _plain(value)
    if failure is not None:
        said["exception"] = getattr(failure.type, "__name__", str(failure.type))
        said["traceback"] = _traceback(failure)
    text = msgspec.json.encode(said).decode()
    return f"{text}\n"


def observer_for(form: str, twistd: Mapping[str, Any], always: Mapping[str, object]) -> ILogObserver:
    """Make the observer that twistd would make, of our lines.

    :param form: ``text`` or ``json``.
    :param twistd: its options.
    :raises StartupFault: the log file cannot be had.
    """

    def json(event: LogEvent) -> str | None:
        return json_line(event, always)

    line = _without_noise(text_line if form == "text" else json)
    if twistd.get("syslog"):
        return _Syslog(twistd.get("prefix") or "twisted", line)
    name, in_foreground = twistd.get("logfile"), twistd.get("nodaemon", True)
    if in_foreground and name in (None, "", "-"):
        return FileLogObserver(sys.stdout, line)
    if name == "-":
        raise StartupFault("a daemon cannot log to stdout: give --logfile a file, or -n for the foreground")
    try:
        file = LogFile.fromFullPath(name or "twistd.log")
    except OSError as fault:
        raise StartupFault(f"cannot log to {name}: {fault.strerror or fault}").tell() from None
    _rotate_when_asked(file)
    return FileLogObserver(cast(TextIO, file), line)


class WithLog(MultiService):
    """A service whose application logs through an observer of ours.

    :param make: makes the observer.
    """

    def __init__(self, service: IService, make: Callable[[], ILogObserver]) -> None:
        super().__init__()
        self._make = make
        service.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Join the application, before it begins to log."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._make())
        super().setServiceParent(parent)


@implementer(ILogObserver)
class _Syslog:
    """Writes to the system's log, which knows the time by itself."""

    def __init__(self, prefix: str, line: Line) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_DAEMON)
        self._line = line

    def __call__(self, event: LogEvent) -> None:
        """Write an event, by its level."""
        priority = _PRIORITIES.get(event.get("log_level", LogLevel.info), syslog.LOG_INFO)
        for line in (self._line(event) or "").splitlines():
            syslog.syslog(priority, line.replace("\0", ""))


def _without_noise(line: Line) -> Line:
    return lambda event: None if _is_noise(event) else line(event)


def _is_noise(event: LogEvent) -> bool:
    """Whether Twisted says what nobody asked for: of ports, and an empty line as a worker ends."""
    if event.get("log_namespace") == "log_legacy":
        return bool(_OF_PORTS.fullmatch(str(event.get("log_text"))))
    return event.keys() >= OF_WORKER and not event["line"]


def _rotate_when_asked(file: LogFile) -> None:
    """Begin a new file at SIGUSR1, as twistd does."""

    def rotate(*_: object) -> None:
        from twisted.internet import reactor  # noqa: PLC0415 - it is to be the one that twistd installed

        cast(IReactorFromThreads, reactor).callFromThread(file.rotate)

    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, rotate)


def _is_ours(event: LogEvent) -> bool:
    """Whether what a worker says is an object of this log already."""
    try:
        said = msgspec.json.decode(event["line"])
    except (msgspec.DecodeError, UnicodeError):
        return False
    return isinstance(said, dict) and {"time", "level", "message"} <= said.keys()


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return "info" if level is None else str(level.name)


def _traceback(failure: Failure) -> str:
    try:
        return "\n".join(map(escape, failure.getTraceback().splitlines()))
    except Exception as fault:
        return f"(no traceback: {escape(repr(fault))})"


def _plain(value: object) -> object:
    """Give what JSON can hold of a field."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return escape(value if isinstance(value, str) else str(value))
