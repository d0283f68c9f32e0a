"""A pytest plugin that reports at the end of each run what was skipped and why.

NIF_REQUIRE names requirements ("postgresql browser" in .ci/run). A skip whose reason begins with
one of them and a colon fails the run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest


# As the first wrapper it is the outermost one, and prints after pytest's own last line.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # A worker of xdist; the controller gets all reports.
        return
    skipped = count_reasons(terminal.stats.get("skipped", []))
    for reason, count in skipped.most_common():
        terminal.write_line(f"Skipped: {count} — {reason}")
    if not skipped:
        terminal.write_line("Nothing was skipped.")
    if missing := required_but_missing(skipped):
        terminal.write_line(f"This run needs {' and '.join(missing)} (NIF_REQUIRE).", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def count_reasons(reports: list[pytest.TestReport | pytest.CollectReport]) -> Counter[str]:
    """The number of skips by reason. A skipped module counts once, not per worker."""
    skips = {(report.nodeid, reason(report)) for report in reports}
    return Counter(reason for _, reason in skips)


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def required_but_missing(reasons: Counter[str]) -> list[str]:
    required = os.environ.get("NIF_REQUIRE", "").casefold().split()
    given = [reason.casefold() for reason in reasons]
    return [thing for thing in required if any(one.startswith(f"{thing}:") for one in given)]
