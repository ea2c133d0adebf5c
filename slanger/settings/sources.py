"""Where values come from, and which of them wins."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from slanger.faults import StartupFault
from slanger.protocol.names import UNLIMITED
from slanger.settings.options import NONE, OPTIONS, SWITCHES

LARGEST = 10**12
"""The largest number any option takes."""

_PREFIX = "SLANGER_"
_KUBERNETES = re.compile(r"SLANGER_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)")
"""What Kubernetes sets by itself where a service is called slanger."""

_STATES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_OPTIONAL = {option.name for option in OPTIONS if option.optional}
_LEAST = {option.name: option.least for option in OPTIONS}
_DEFAULTS: Mapping[str, str | bool | None] = {
    **{option.name: option.default for option in OPTIONS},
    **{switch.name: switch.default for switch in SWITCHES},
}


@dataclass(frozen=True, slots=True)
class Source:
    """One place where options are given.

    :param values: what is given there; an empty text counts as not given.
    :param called: tells how an option is called there, for errors.
    """

    values: Mapping[str, object]
    called: Callable[[str], str]


def flags(given: Mapping[str, object]) -> Source:
    """Make a source of the command line."""
    return Source(given, lambda name: f"--{name}")


def environment(variables: Mapping[str, str]) -> Source:
    """Make a source of the environment.

    :raises StartupFault: a variable begins with our prefix, and names no option.
    """
    names = {name: variable(name) for name in _DEFAULTS}
    for unknown in sorted(set(variables).difference(names.values())):
        if unknown.startswith(_PREFIX) and not _KUBERNETES.match(unknown):
            near = difflib.get_close_matches(unknown, names.values(), 1)
            raise StartupFault(f"{unknown}: no such option{f'; did you mean {near[0]}?' if near else ''}")
    return Source({name: variables.get(called) for name, called in names.items()}, variable)


def variable(name: str) -> str:
    """Name the environment variable of an option."""
    return _PREFIX + name.upper().replace("-", "_")


class Values:
    """What was given: the first source that has a value wins, and the default comes last."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = (*sources, Source(_DEFAULTS, lambda name: f"the default of --{name}"))

    def text(self, name: str) -> str | None:
        """Give an option's text, or None."""
        value = self._find(name)[0]
        return None if value is None else str(value)

    def required(self, name: str) -> str:
        """Give the text of an option that has a default."""
        text = self.text(name)
        assert text is not None, name
        return text

    def first_given(self, *names: str) -> str | None:
        """Tell which of these options stands in the first source that has any of them; in one source, in this order."""
        given = (name for source in self._sources for name in names if source.values.get(name) not in (None, ""))
        return next(given, None)

    def number(self, name: str) -> int:
        """Give an option that counts something; `UNLIMITED` where it is none."""
        text, least = self.required(name), _LEAST[name]
        if text == NONE and name in _OPTIONAL:
            return UNLIMITED
        if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= LARGEST):
            none = ", or none" if name in _OPTIONAL else ""
            raise StartupFault(f"{self.origin(name)} {text!r}: expected a whole number from {least} to {LARGEST}{none}")
        return int(text)

    def several(self, name: str) -> tuple[str, ...]:
        """Give the texts of an option that takes several."""
        return tuple(filter(None, (each.strip() for each in (self.text(name) or "").split(","))))

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """Give an option that has few values."""
        text = self.required(name)
        if text not in choices:
            raise StartupFault(f"{self.origin(name)} {text!r}: expected one of {', '.join(choices)}")
        return text

    def switch(self, name: str) -> bool:
        """Tell whether a switch is on."""
        value, _ = self._find(name)
        if isinstance(value, bool):
            return value
        state = _STATES.get(str(value).lower())
        if state is None:
            raise StartupFault(f"{self.origin(name)} {value!r}: expected yes or no")
        return state

    def origin(self, name: str) -> str:
        """Tell where an option's value comes from."""
        return self._find(name)[1].called(name)

    def given(self, names: Iterable[str]) -> list[str]:
        """Tell which of these options were given anywhere, as they are called there."""
        found = ((name, self._find(name)[1]) for name in names)
        return [source.called(name) for name, source in found if source is not self._sources[-1]]

    def _find(self, name: str) -> tuple[object, Source]:
        for source in self._sources:
            value = source.values.get(name)
            if value not in (None, ""):
                return value, source
        return None, self._sources[-1]


def as_environment(given: Mapping[str, str | bool], variables: Mapping[str, str]) -> dict[str, str]:
    """Write what the command line gave into an environment, for a process that has no command line.

    :param variables: the environment of this process; what was given wins over it.
    """
    written = dict(variables)
    if {"secret", "secret-file"}.intersection(given):
        for name in ("secret", "secret-file"):
            written.pop(variable(name), None)
    for name, value in given.items():
        written[variable(name)] = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    return written
