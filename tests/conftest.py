"""Which fixtures a process loads, and which database a test runs on."""

import os
from datetime import UTC, datetime
from zlib import crc32

import pytest

from tests import postgres

pytest_plugins = ["tests.case_names", "tests.skips"]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL, and load the fixtures where tests run.

    xdist's controller runs none. Its workers start only after it has loaded its own plugins, so it
    is spared those that import all of NIF.
    """
    if os.environ.get("NIF_TEST_ON") != "sqlite":
        postgres.controller_start(config)
    if config.option.collectonly or config.getoption("dist", "no") == "no":
        for name in ("tests.speed", "tests.fixtures"):
            config.pluginmanager.import_plugin(name)


ON_ONE_DATABASE = (
    "tests/web/",
    "tests/cli/",
    "tests/demo/",
    "tests/test_bench.py",
    "tests/corpus/test_escaping",
    "tests/corpus/test_forms.py::test_hostile_text_fails_no_form",
    "tests/corpus/test_forms.py::test_an_invalid",
    "tests/journeys/test_provider_refusals",
    "tests/journeys/test_worker_killed",
    "tests/prove/test_sweep",
    "tests/register/test_relationship_types",
    "tests/sends/test_certificates.py::test_batch_counts",
    "tests/sends/test_outcomes_refusals.py::test_all_others",
    "tests/sends/test_outcomes_refusals.py::test_two_adjacent",
    "tests/sends/test_provider_events_parsing",
    "tests/stories/test_checks.py",
    "tests/test_limits_signups.py::test_the_site",
)
"""Tests that run on one of the two databases, chosen by their name: those of pages, commands, texts
and parsing, and long ones whose SQL other tests run on both. Tests of rules run on both.
NIF_TEST_ON=both runs all tests on both, NIF_TEST_ON=sqlite all of them on SQLite."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanted = os.environ.get("NIF_TEST_ON")
    if wanted == "sqlite":
        items[:] = [item for item in items if _database_of(item) != "postgresql"]
    elif wanted != "both":
        items[:] = [item for item in items if not _is_for_the_other_database(item)]


def _database_of(item: pytest.Item) -> str | None:
    """The database that a test is run on; None where it takes none, or is not run on each."""
    chosen = getattr(item, "callspec", None)
    params = chosen.params if chosen else {}
    return params.get("database_url") or params.get("new_database")


def _is_for_the_other_database(item: pytest.Item) -> bool:
    database = _database_of(item)
    if database is None or not item.nodeid.startswith(ON_ONE_DATABASE):
        return False
    name = item.nodeid.replace(database, "").encode()
    return database != ("sqlite", "postgresql")[crc32(name) % 2]
