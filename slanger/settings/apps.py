"""The apps: those of the settings file, and the one that the command line or the environment describes."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slanger.domain.apps import App
from slanger.domain.webhooks import KINDS, Endpoint, shown_url, url_fault
from slanger.faults import StartupFault
from slanger.settings.file import SettingsFile
from slanger.settings.limits import read_origins
from slanger.settings.options import OPTIONS, SWITCHES
from slanger.settings.sources import Values

CREDENTIAL = "slanger-secret"
"""Name of the systemd credential (`LoadCredential=slanger-secret:FILE`) that holds the secret."""

TERMINATION_CODES = ("4009", "4200")

_NUMBERS = [option.name for option in OPTIONS if option.key and option.number and option.name != "termination-code"]
_SWITCHES = [switch.name for switch in SWITCHES if switch.of_app]
_OF_APP = [*(option.name for option in OPTIONS if option.of_app), *_SWITCHES]


class MissingOption(StartupFault):
    """A required option was not given."""


def read_apps(values: Values, variables: Mapping[str, str], file: SettingsFile) -> tuple[App, ...]:
    """Read the apps of the settings file, and that of the command line.

    :param variables: the environment; it may say where systemd keeps the secret.
    :raises MissingOption: there is no app, or none of the places has its secret.
    :raises StartupFault: an app's settings are wrong, or two apps have one key.
    """
    apps: dict[str, App] = {}
    for source, webhooks in file.apps:
        table = Values([source])
        for key in ("app-key", "secret"):
            if table.first_given(key, f"{key}-file") is None:
                raise StartupFault(f"{source.called(key)}: missing{'; give it, or secret-file' * (key == 'secret')}")
        app = _read_app(table, {}, webhooks)
        if app.key in apps:
            raise StartupFault(f"{source.called('app-key')} {app.key!r}: another app has this key; each needs its own")
        apps[app.key] = app
    if values.text("app-key") is not None:
        app = _read_app(values, variables, _read_webhook(values))
        if app.key in apps:
            raise StartupFault(f"{values.origin('app-key')} {app.key!r}: an app of the settings file has this key")
        apps[app.key] = app
    elif not apps:
        where = f"; the settings file {file.name} has no [[apps]] either" if file.name else ""
        raise MissingOption(f"no app key: give --app-key KEY, or set SLANGER_APP_KEY{where}")
    elif stray := values.given(_OF_APP):
        raise StartupFault(
            f"{stray[0]} is for the app of --app-key, which was not given: put it in the file's [[apps]]"
        )
    return tuple(apps.values())


def _read_app(values: Values, variables: Mapping[str, str], webhooks: tuple[Endpoint, ...]) -> App:
    key = values.required("app-key")
    if not re.fullmatch(r"[\w.~!$&'()*+,;=@-]+", key, re.ASCII):
        raise StartupFault(
            f"{values.origin('app-key')} {key!r}: expected only characters that a URL path may hold, and no / or :"
        )
    rules: dict[str, Any] = {name.replace("-", "_"): values.number(name) for name in _NUMBERS}
    rules |= {name.replace("-", "_"): values.switch(name) for name in _SWITCHES}
    return App(
        key=key,
        secret=_read_secret(values, variables),
        id=values.text("app-id"),
        webhooks=webhooks,
        origins=read_origins(values, "origins"),
        termination_code=int(values.choice("termination-code", TERMINATION_CODES)),
        **rules,
    )


def _read_webhook(values: Values) -> tuple[Endpoint, ...]:
    url = values.text("webhook-url")
    if url is None:
        if stray := values.given(["webhook-events"]):
            raise StartupFault(f"{stray[0]} was given without --webhook-url: say where the app is told")
        return ()
    if fault := url_fault(url):
        raise StartupFault(f"{values.origin('webhook-url')} {shown_url(url)!r}: {fault}")
    kinds = [kind.strip() for kind in values.required("webhook-events").split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise StartupFault(f"{values.origin('webhook-events')} {kind!r}: expected some of {', '.join(KINDS)}")
    return (Endpoint(url=url, kinds=frozenset(kinds)),)


def _read_secret(values: Values, variables: Mapping[str, str]) -> str:
    """Take the secret from where it was given."""
    name = values.first_given("secret", "secret-file")
    if name == "secret":
        return values.required(name)
    file, origin = values.text("secret-file"), values.origin("secret-file")
    credential = Path(variables.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)
    if file is None and not _is_missing(credential):
        file, origin = str(credential), "credential"
    if file is None:
        raise MissingOption("no secret: give --secret-file FILE, set SLANGER_SECRET, or give --secret SECRET")
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as fault:
        raise StartupFault(f"{origin} {file}: {getattr(fault, 'strerror', None) or 'it is not text'}") from None
    if not secret:
        raise StartupFault(f"{origin} {file}: it is empty; expected the secret of the app in it")
    return secret


def _is_missing(file: Path) -> bool:
    """Whether there is no such file; one that may not be looked at is there."""
    try:
        file.stat()
    except OSError as fault:
        return fault.errno in (errno.ENOENT, errno.ENOTDIR)
    return False
