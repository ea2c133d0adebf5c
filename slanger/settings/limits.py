"""Limits of the node, and origins of web pages."""

from __future__ import annotations

from dataclasses import fields

from slanger.domain.limits import Limits
from slanger.domain.origins import ANY, origin_fault
from slanger.faults import StartupFault
from slanger.settings.sources import Values


def read_limits(values: Values) -> Limits:
    """Read each limit that is given; the others are as they are."""
    given = {each.name: values.text(each.name.replace("_", "-")) for each in fields(Limits)}
    return Limits(**{name: values.number(name.replace("_", "-")) for name, text in given.items() if text is not None})


def read_origins(values: Values, name: str) -> tuple[str, ...]:
    """Read a list of origins. For `origins` it is empty where `*` allows any, as it is by default.

    :raises StartupFault: an entry is no origin.
    """
    origins = values.several(name)
    for origin in origins:
        if fault := origin_fault(origin):
            raise StartupFault(f"{values.origin(name)} {origin!r}: {fault}")
    return () if ANY in origins and name == "origins" else origins
