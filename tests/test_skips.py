"""A run that requires a tool fails if a test was skipped for lack of it."""

from collections import Counter

import pytest

from tests.skips import required_but_missing


@pytest.mark.parametrize(
    ("reason", "missing"),
    [
        ("PostgreSQL: no server is installed", ["postgresql"]),
        ("browser: no Chromium is installed here", ["browser"]),
        ("what PostgreSQL refuses by itself", []),
        ("SQLite has one writer at a time", []),
    ],
)
def test_a_skip_reason_that_starts_with_a_required_tool_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, reason: str, missing: list[str]
) -> None:
    monkeypatch.setenv("NIF_REQUIRE", "postgresql browser")

    assert required_but_missing(Counter([reason])) == missing
