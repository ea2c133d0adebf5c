"""Turn the fuzzing client of the Autobahn test suite, which is Python 2, into Python 3.

Run in the suite's own environment: ``port.py SUITE AUTOBAHN TARGET``. The first two are the packages' unpacked folders,
`TARGET` gets both.

In Python 2 each payload of the suite is a byte string. To make bytes of hundreds of literals would break how they are
indexed, joined and formatted. So the ported suite keeps `str`, with one character for one octet (Latin-1), which
behaves as a byte string of Python 2 did, and a class put before Autobahn's converts on the way in and out. Sources are
read as Latin-1 for the same reason: a literal then holds the octets that Python 2 would have sent.

Each replacement tells how often it must match: another release of the suite fails here, and is not ported wrongly.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

Fix = tuple[str | re.Pattern[str], str]
"""What to replace, and with what; it must be there exactly once, or as often as `TIMES` says."""

OCTETS = '''\
import binascii as _binascii
import os as _os


def to_bytes(value):
    return value.encode("latin-1") if isinstance(value, str) else value


def to_str(value):
    """Octets as a str of one character for each."""
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


def to_text(value):
    """Octets, in either form, as text to be read."""
    if isinstance(value, str):
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class binascii:
    @staticmethod
    def b2a_hex(value):
        return _binascii.b2a_hex(to_bytes(value)).decode("ascii")

    hexlify = b2a_hex


class pkg_resources:
    @staticmethod
    def resource_filename(package, path):
        return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), path)


class OctetBoundary:
    """Stands before Autobahn's protocol among the bases of the fuzzing protocols."""

    def sendFrame(self, opcode, payload=b"", *args, **kwargs):
        return super().sendFrame(opcode, to_bytes(payload), *args, **kwargs)

    def sendMessage(self, payload, *args, **kwargs):
        return super().sendMessage(to_bytes(payload), *args, **kwargs)

    def sendMessageFrameData(self, payload, *args, **kwargs):
        return super().sendMessageFrameData(to_bytes(payload), *args, **kwargs)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        return super().sendCloseFrame(code, to_bytes(reasonUtf8), isReply)

    def _onMessage(self, payload, isBinary):
        self.onMessage(to_str(payload), isBinary)

    def _onPong(self, payload):
        self.onPong(to_str(payload))
'''

_USE_OCTETS = "from autobahntestsuite.octets import *\n"
_REPORT = "open(os.path.join(outdir, report_filename), 'w'"

ASCII_LOG = """\
def asciiLogData(data, maxlen = 64, replace = False):
   data = to_bytes(data)
   shown = data[:maxlen] + b" ..." if len(data) > maxlen - 4 else data
   try:
      return shown.decode('utf8', errors = 'replace' if replace else 'strict')
   except UnicodeDecodeError:
      return '0x' + binLogData(data, maxlen)
"""

TIMES = {_REPORT: 4}

SUITE: dict[str, Sequence[Fix]] = {
    "fuzzing.py": (
        (
            "import os, json, binascii, time, textwrap, pkg_resources\n",
            f"import os, json, time, textwrap\n{_USE_OCTETS}",
        ),
        # only for plain connections: TLS would need pyOpenSSL, and the reports' server twisted.web
        ("from twisted.internet import reactor, ssl\n", "from twisted.internet import reactor\n"),
        ("from twisted.web.server import Site\nfrom twisted.web.static import File\n", ""),
        ("self.contextFactory = ssl.ClientContextFactory()", "self.contextFactory = None"),
        (re.compile(r"def asciiLogData\(.*?(?=\n\n\n)", re.DOTALL), ASCII_LOG),
        ("class FuzzingProtocol:", "class FuzzingProtocol(OctetBoundary):"),
        ("p = ''.join(payload)", "p = b''.join(payload)"),
        ('"description": self.Case.DESCRIPTION', '"description": to_text(self.Case.DESCRIPTION)'),
        ('"result": self.runCase.result,', '"result": to_text(self.runCase.result),'),
        ('"localCloseReason": self.localCloseReason', '"localCloseReason": to_text(self.localCloseReason)'),
        ("self.http_request_data if", "to_str(self.http_request_data) if"),
        ("self.http_response_data if", "to_str(self.http_response_data) if"),
        ("CCase.DESCRIPTION)", "to_text(CCase.DESCRIPTION))"),
        (_REPORT, f"{_REPORT}, encoding = 'utf-8', errors = 'replace'"),
        ('% (c[0], case[c[0]], c[1])).encode("utf-8"))', "% (c[0], case[c[0]], c[1])))"),
        ("ll.encode('utf8')", "ll"),
    ),
    "report.py": (
        # its style sheet is used; the class that needs jinja2 is not
        ("import jinja2\n", ""),
        (re.compile(r"^from zope.interface import implementer\n.*\Z", re.DOTALL | re.MULTILINE), ""),
    ),
    "case/__init__.py": (("from case9_9_1 import *\n", ""),),  # in no list of cases
    "case/case.py": (
        # in Python 3 equal objects need not have equal pickles
        ("return pickle.dumps(obj1) == pickle.dumps(obj2)", "return obj1 == obj2"),
        ("import pickle\n", ""),
    ),
    "case/case6_x_x.py": (("v.validate(vss[:i])", "v.validate(vss[:i].encode('latin-1'))"),),
    "case/case10_1_1.py": (
        ("len(self.payload) / self.p.autoFragmentSize", "len(self.payload) // self.p.autoFragmentSize"),
    ),
    "case/case12_x_x.py": (
        (
            "import copy, os, pkg_resources, hashlib, binascii\n",
            f"import copy, os, hashlib\n{_USE_OCTETS}",
        ),
        # here payloads come from files, and are bytes
        ("def onMessage(self, msg, binary):\n", "def onMessage(self, msg, binary):\n   msg = to_bytes(msg)\n"),
    ),
}
"""By file, applied before the general fixers of Python 2."""

AUTOBAHN: dict[str, Sequence[Fix]] = {
    "websocket/protocol.py": (
        ("range(payload_len / len(payload))", "range(payload_len // len(payload))"),
        # a close reason that is not UTF-8 was noted as a violation one line before
        ("reasonRaw.decode('utf8')", "reasonRaw.decode('utf8', 'replace')"),
    ),
}

UNUSED = "case9_9_1.py"


class Unexpected(Exception):
    """The source is not the one that these fixes are for."""


def fixed(text: str, fixes: Sequence[Fix], name: str) -> str:
    """Apply fixes to a file's text.

    :raises Unexpected: one of them is not there as often as it must be.
    """
    for old, new in fixes:
        pattern = re.compile(re.escape(old)) if isinstance(old, str) else old
        times = TIMES.get(old, 1) if isinstance(old, str) else 1
        text, found = pattern.subn(lambda match, new=new: new, text)  # type: ignore[misc]
        if found != times:
            raise Unexpected(f"{name}: found {found} times, not {times}: {pattern.pattern}")
    return text


def port_suite(source: Path, target: Path) -> None:
    """Port the suite, as far as its fuzzing client needs it."""
    from fissix.refactor import RefactoringTool, get_fixers_from_package  # noqa: PLC0415 - in the suite's environment

    (target / "case").mkdir(parents=True)
    shutil.copytree(source / "testdata", target / "testdata")
    names = ["_version.py", "fuzzing.py", "caseset.py", "report.py"]
    names += sorted(f"case/{path.name}" for path in (source / "case").glob("*.py") if path.name != UNUSED)
    (target / "__init__.py").write_text("from autobahntestsuite._version import __version__\nversion = __version__\n")
    (target / "octets.py").write_text(OCTETS)
    for name in names:
        text = (source / name).read_text(encoding="latin-1")  # universal newlines: some files have those of DOS
        if name.startswith("case/"):
            # in Python 3 a class cannot name object before a subclass of it
            text = text.replace("(object, Case, )", "(Case, )")
            text = re.sub(r"^import binascii$", "from autobahntestsuite.octets import binascii", text, flags=re.M)
        text = re.sub(r"^# *(-\*- )?coding.*\n", "", text, flags=re.M)
        (target / name).write_text(fixed(text, SUITE.get(name, ()), name), encoding="utf-8")
    tool = RefactoringTool(get_fixers_from_package("fissix.fixes"))
    for name in names:
        tool.refactor_file(str(target / name), write=True)  # looks at its neighbours to tell relative imports
        compile((target / name).read_text(encoding="utf-8"), name, "exec")


def port_autobahn(source: Path, target: Path) -> None:
    """Port the old Autobahn that the suite is pinned to."""
    shutil.copytree(source, target)
    for name, fixes in AUTOBAHN.items():
        path = target / name
        path.write_text(fixed(path.read_text(encoding="utf-8"), fixes, name), encoding="utf-8")


if __name__ == "__main__":
    suite, autobahn, lib = map(Path, sys.argv[1:])
    port_suite(suite, lib / "autobahntestsuite")
    port_autobahn(autobahn, lib / "autobahn")
