"""For pytest: a run in which a test was skipped has failed. The tests bring what they need."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if anything was skipped, or was allowed to fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and {"skipped", "xfailed", "xpassed"}.intersection(reporter.stats):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
