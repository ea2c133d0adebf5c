"""The scripts that change what is shared: each is one step for every node, whatever dies in the middle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

_SOURCES = files(__package__) / "lua"
_COMMON = (_SOURCES / "common.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    :param digest: by which Redis knows it once it was loaded.
    """

    name: str
    text: str
    digest: str


def _read(name: str) -> Script:
    text = f"{_COMMON}\n{(_SOURCES / f'{name}.lua').read_text(encoding='utf-8')}"
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


PUBLISH = _read("publish")
STATE = _read("state")
BEAT = _read("beat")
DEPART = _read("depart")
SWEEP = _read("sweep")
CLAIM = _read("claim")
CATCH_UP = _read("catch_up")
ROSTERS = _read("rosters")
COUNTS = _read("counts")
OCCUPIED = _read("occupied")
MISSED = _read("missed")
RECALL = _read("recall")

SCRIPTS = (PUBLISH, STATE, BEAT, DEPART, SWEEP, CLAIM, CATCH_UP, ROSTERS, COUNTS, OCCUPIED, MISSED, RECALL)
