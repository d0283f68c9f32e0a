"""What makes the suite quick: things that are costly, and the same for each test of a run."""

import functools
import gc
import os
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from werkzeug.routing import Rule

from nif.queue import WakeQueue
from nif.subscriptions import lists
from tests.sharing import made_once, set_up_queues_once

LONG = {
    "tests/journeys/test_story_form.py": 60,
    "tests/journeys/test_worker_killed.py": 60,
    "tests/journeys/test_staff_pages.py": 45,
    "tests/journeys/test_story_page.py": 25,
    "tests/journeys/test_new_editor.py": 20,
    "tests/journeys/test_new_admin.py": 25,
    "tests/journeys/test_main_job.py": 20,
    "tests/journeys/test_provider_refusals.py": 15,
    "tests/journeys/test_passkeys.py": 10,
    "tests/journeys/test_startup.py": 5,
}
"""Seconds that whole modules take, about. They come first, each in one worker, so that none of them
is alone at the end, and a house is set up once."""

_rules: dict[str, dict[str, Any]] = {}
_compile = Rule.compile


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = deal(items, workers)


def deal(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Long modules first, in the order in which xdist cuts a run into one piece for each worker."""
    heads: list[list[pytest.Item]] = [[] for _ in range(workers)]
    weights = [0] * workers
    for path, weight in sorted(LONG.items(), key=lambda one: -one[1]):
        lightest = weights.index(min(weights))
        heads[lightest] += [item for item in items if _path(item) == path]
        weights[lightest] += weight
    rest = [item for item in items if _path(item) not in LONG]
    dealt: list[pytest.Item] = []
    for n, head in enumerate(heads):
        more = max(0, (len(items) - len(dealt)) // (workers - n) - len(head))
        dealt += [*head, *rest[:more]]
        del rest[:more]
    return [*dealt, *rest]


def _path(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_collection_finish() -> None:
    """What is there for the whole run is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    Rule.compile = _compile_once
    lists.available_timezones = functools.cache(lists.available_timezones)
    set_up_queues_once()


MADE = ("_parts", "_trace", "_converters", "arguments")
BUILT = ("_build", "_build_unknown")


def _compile_once(rule: Rule) -> None:
    """Routes are turned into code once for a run, and not again for each app."""
    key = repr((rule.rule, rule.defaults, rule.subdomain, rule.host, rule.merge_slashes))
    if key not in _rules:
        _compile(rule)
        made = {name: getattr(rule, name) for name in MADE}
        _rules[key] = made | {name: getattr(rule, name).__func__ for name in BUILT}
        return
    vars(rule).update(_rules[key])
    for name in BUILT:
        setattr(rule, name, _rules[key][name].__get__(rule))


@pytest.fixture(scope="session")
def queue_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "queue.db"
    WakeQueue(str(path), b"any key")
    return path


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    folder = made_once(tmp_path_factory, "templates", lambda empty: None)
    return FileSystemBytecodeCache(str(folder))


@pytest.fixture
def quick(_templates: FileSystemBytecodeCache) -> Any:
    """Makes an app quick: templates are compiled once, and passwords hashed with less care."""

    def quickened(app: Flask) -> Flask:
        app.jinja_env.bytecode_cache = _templates
        app.extensions["security"].pwd_context.update(argon2__time_cost=1, argon2__memory_cost=64)
        return app

    return quickened
