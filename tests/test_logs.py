"""How the log is written."""

from __future__ import annotations

import io
import json
import syslog
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Application, Service
from twisted.logger import FileLogObserver, ILogObserver, Logger, LogLevel
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slanger.faults import StartupFault
from slanger.logs import WithLog, escape, json_line, observer_for, text_line

TIME = 1_700_000_000.25
FORGED = "harmless\n2026-01-01T00:00:00+0000 [slanger#info] all is well\r\x1b[2J\u2028\x00"


def event(form: str | None = "said", **fields: Any) -> dict[str, Any]:
    """Make an event as a `Logger` does."""
    return {
        "log_format": form,
        "log_time": TIME,
        "log_level": LogLevel.warn,
        "log_namespace": "slanger.here",
        "log_logger": Logger(),
        "log_source": None,
        **fields,
    }


def failed(message: str) -> Failure:
    """Make a failure with this message."""
    try:
        raise ValueError(message)
    except ValueError:
        return Failure()


class TextTests(SynchronousTestCase):
    """Lines of text."""

    def test_line(self) -> None:
        """Text: time, where and how bad it is, and what was said."""
        line = text_line(event("{who} said {what!r} {call()}", who="one", what="x", call=lambda: 7))
        assert line is not None
        self.assertTrue(line.endswith(" [slanger.here#warn] one said 'x' 7\n"), line)
        self.assertRegex(line, r"^2023-11-14T\d\d:13:20[+-]\d{4} \[")

    def test_forged(self) -> None:
        """Text: a field cannot begin a line, nor speak to a terminal; it shows what it tried."""
        line = text_line(event("{peer} refused", peer=FORGED))
        assert line is not None
        self.assertEqual(line.splitlines(), [line[:-1]])
        for escaped in ("\\n2026", "\\r", "\\x1b", "\\u2028", "\\x00"):
            self.assertIn(escaped, line)

    def test_own_lines(self) -> None:
        """Text: newlines of the format itself are ours; what follows them is indented."""
        line = text_line(event("one\ntwo {field}", field="a\nb"))
        assert line is not None
        self.assertEqual(line.splitlines()[1:], ["\ttwo a\\nb"])

    def test_failure(self) -> None:
        """Text: a traceback is indented, so that no message of an exception can look like a line of the log."""
        line = text_line(event("it failed", log_failure=failed(FORGED)))
        assert line is not None
        first, *others = line[:-1].split("\n")
        self.assertTrue(first.endswith("it failed"))
        self.assertIn("\tTraceback (most recent call last):", others)
        self.assertTrue(all(each.startswith("\t") for each in others), others)
        self.assertNotIn("\x1b", line)

    def test_nothing(self) -> None:
        """Text: an event that says nothing is no line."""
        self.assertIsNone(text_line(event(None)))

    def test_broken(self) -> None:
        """Text: an event that cannot be written is still a line, and says why."""
        for form in ("{missing}", "{", "{what.nothing}"):
            line = text_line(event(form, what=1))
            assert line is not None
            self.assertIn("an event that cannot be written", line)
            self.assertEqual(len(line.splitlines()), 1)

    @given(st.text())
    def test_any(self, text: str) -> None:
        """Text: whatever a field holds, it is one line, and can be written in UTF-8."""
        line = text_line(event("{field}!", field=text))
        assert line is not None
        self.assertEqual(len(line.encode().decode().splitlines()), 1)

    def test_worker(self) -> None:
        """Text: a line of a worker has its own time, not two; what it says without one has that of who watches."""
        line = text_line(event("{what}", what=FORGED))
        assert line is not None
        time, said = line[:-1].split(" ", 1)
        from_worker = event("[{tag}] {line}", tag="worker 1", line=line[:-1], stream="stdout")
        self.assertEqual(text_line({**from_worker, "log_time": TIME + 9}), f"{time} [worker 1] {said}\n")
        for other in ("\tTraceback", f"{time} x", f"slanger: {line[:-1]}"):
            self.assertEqual(
                text_line({**from_worker, "line": other}), f"{time} [slanger.here#warn] [worker 1] {escape(other)}\n"
            )

    def test_harmless(self) -> None:
        """Text: what is harmless stays as it is: letters of any script, backslashes, tabs."""
        for text in ("plain", "größer", "日本", "a\\b", "a\tb", "😀"):
            self.assertEqual(escape(text), text)


class JsonTests(SynchronousTestCase):
    """An object per line."""

    def read(self, said: dict[str, Any], **always: object) -> Any:
        """Write an event, and read it."""
        line = json_line(said, always)
        assert line is not None
        self.assertEqual((line[-1], line.count("\n")), ("\n", 1))
        return json.loads(line)

    def test_fields(self) -> None:
        """JSON: time in UTC, level, namespace, event and message come first; then the event's own fields."""
        said = self.read(event("{what} on {where}", event="listening", what="API", where="a:1", port=1, on=True))
        self.assertEqual(list(said)[:5], ["time", "level", "namespace", "event", "message"])
        self.assertEqual(
            said,
            {
                "time": "2023-11-14T22:13:20.250000Z",
                "level": "warn",
                "namespace": "slanger.here",
                "event": "listening",
                "message": "API on a:1",
                "what": "API",
                "where": "a:1",
                "port": 1,
                "on": True,
            },
        )

    def test_unnamed(self) -> None:
        """JSON: what has no name of its own is the event `log`; every object has the fields of this process."""
        said = self.read(event("said"), worker=2)
        self.assertEqual((said["event"], said["worker"]), ("log", 2))

    def test_values(self) -> None:
        """JSON: what JSON does not know is written as text, and nothing of it is lost."""
        said = self.read(event("said", path=Path("/a"), raw=b"x", none=None, ratio=0.5, many=["a\n"]))
        self.assertEqual(
            (said["path"], said["raw"], said["none"], said["ratio"], said["many"]),
            ("/a", "b'x'", None, 0.5, "['a\\n']"),
        )

    def test_not_finite(self) -> None:
        """JSON: a number that JSON cannot write leaves the line readable."""
        self.assertIsNone(self.read(event("said", ratio=float("nan")))["ratio"])

    def test_own_names(self) -> None:
        """JSON: a field of an event cannot pass for what every object has."""
        said = self.read(event("said", message="forged", time="forged", level="forged"))
        self.assertEqual((said["message"], said["level"]), ("said", "warn"))
        self.assertTrue(said["time"].startswith("2023"))

    def test_failure(self) -> None:
        """JSON: a failure has the name of its exception, and a traceback."""
        said = self.read(event("it failed", log_failure=failed("no\nluck")))
        self.assertEqual(said["exception"], "ValueError")
        self.assertIn("Traceback", said["traceback"])

    @given(st.text())
    def test_any(self, text: str) -> None:
        """JSON: whatever a field holds, the line can be read."""
        said = self.read(event("{field}!", field=text))
        self.assertEqual(said["field"], escape(text))

    def test_worker(self) -> None:
        """JSON: what a worker wrote as an object is passed on as it is; anything else is wrapped."""
        line = json_line(event("said", event="start"), {"worker": 1})
        assert line is not None
        from_worker = event("[{tag}] {line}", tag="worker 1", line=line[:-1], stream="stdout")
        self.assertEqual(json_line(from_worker, {}), line)
        for other in ("Traceback", '{"time":1}', "[1]"):
            wrapped = self.read({**from_worker, "line": other})
            self.assertEqual(wrapped["message"], f"[worker 1] {other}")


class ObserverTests(SynchronousTestCase):
    """Where the log goes."""

    def setUp(self) -> None:
        """Make an empty folder."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)

    def test_stdout(self) -> None:
        """Log: in the foreground it goes to stdout, as twistd's own does."""
        out = io.StringIO()
        self.patch(__import__("sys"), "stdout", out)
        for twistd in ({"nodaemon": True}, {"nodaemon": 1, "logfile": "-"}, {}):
            observer_for("json", twistd, {})(event("said"))
        self.assertEqual([json.loads(line)["message"] for line in out.getvalue().splitlines()], ["said"] * 3)

    def test_file(self) -> None:
        """Log: it goes to the file that twistd was told of."""
        file = self.folder / "log"
        for form in ("text", "json"):
            observer_for(form, {"logfile": str(file), "nodaemon": False}, {})(event("said"))
        text, json_text = file.read_text().splitlines()
        self.assertTrue(text.endswith("[slanger.here#warn] said"))
        self.assertEqual(json.loads(json_text)["message"], "said")

    def test_noise(self) -> None:
        """Log: what Twisted says of its ports and of the end of a worker's output is left out."""
        out = io.StringIO()
        self.patch(__import__("sys"), "stdout", out)
        for form in ("text", "json"):
            observer = observer_for(form, {}, {})
            for text in ("Site starting on 80", "(TCP Port 80 Closed)", "(Port '/tmp/slanger-x/1' Closed)"):
                observer(event("{log_text}", log_namespace="log_legacy", log_text=text))
            observer(event("[{tag}] {line}", tag="worker 1", line="", stream="stdout"))
        self.assertEqual(out.getvalue(), "")

    def test_no_file(self) -> None:
        """Log: a file that cannot be had is a fault of one sentence; so is a daemon's stdout."""
        self.patch(__import__("sys"), "__stderr__", io.StringIO())
        for twistd in ({"logfile": str(self.folder / "none" / "log")}, {"logfile": "-", "nodaemon": False}):
            fault = self.assertRaises(StartupFault, observer_for, "text", twistd, {})
            self.assertEqual(len(str(fault).splitlines()), 1)

    def test_syslog(self) -> None:
        """Log: with `--syslog` it goes to the system's log, by its level, a line at a time."""
        written: list[tuple[int, str]] = []
        self.patch(syslog, "syslog", lambda priority, line: written.append((priority, line)))
        observer = observer_for("text", {"syslog": True, "prefix": "slanger"}, {})
        observer(event("one\ntwo {field}", field="\0"))
        self.assertEqual([priority for priority, _ in written], [syslog.LOG_WARNING] * 2)
        self.assertEqual(written[1][1], "\ttwo \\x00")

    def test_application(self) -> None:
        """Log: the application has our observer before twistd looks for one."""
        out = io.StringIO()
        observer = FileLogObserver(out, text_line)
        application = Application("slanger")
        WithLog(Service(), lambda: observer).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)

    def test_legacy(self) -> None:
        """Log: what Twisted's older modules say is written, too."""
        publisher = legacy.LogPublisher()
        lines: list[str | None] = []
        publisher.addObserver(lambda said: lines.append(text_line(dict(said))))
        publisher.msg("older\nwords")
        line = lines[0]
        assert line is not None
        self.assertTrue(line.endswith(" older\\nwords\n"), line)
