"""What speeds up the suite: costly work that is the same for each test is done once a run."""

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
from tests.sharing import create_once, skip_setup_of_copied_queues

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
"""The approximate seconds of slow modules. They run first, each in one worker: so none of them runs
alone at the end, and module fixtures are set up once."""

_rules: dict[str, dict[str, Any]] = {}
_compile = Rule.compile


def pytest_collection() -> None:
    """Nothing that is collected is garbage before the run ends."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = distribute(items, workers)


def distribute(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Put slow modules first, in the order in which xdist splits a run among the workers."""
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
    """Exclude what lives for the whole run from garbage collection, and share other costly work."""
    gc.collect()
    gc.freeze()
    gc.enable()
    Rule.compile = _compile_once
    lists.available_timezones = functools.cache(lists.available_timezones)
    skip_setup_of_copied_queues()


MADE = ("_parts", "_trace", "_converters", "arguments")
BUILT = ("_build", "_build_unknown")


def _compile_once(rule: Rule) -> None:
    """Compile each route once in a run, and not again for each app."""
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
    folder = create_once(tmp_path_factory, "templates", lambda empty: None)
    return FileSystemBytecodeCache(str(folder))


@pytest.fixture
def speed_up(_templates: FileSystemBytecodeCache) -> Any:
    """A function that speeds up an app: shared compiled templates, and cheap password hashes."""

    def accelerate(app: Flask) -> Flask:
        app.jinja_env.bytecode_cache = _templates
        app.extensions["security"].pwd_context.update(argon2__time_cost=1, argon2__memory_cost=64)
        return app

    return accelerate
