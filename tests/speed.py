"""What speeds up the suite: costly work that is the same for each test is done once a run."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from jinja2 import FileSystemBytecodeCache

from nif.app import build_app
from nif.queue import WakeQueue
from nif.services import Services
from nif.settings import Settings
from nif.web.public.page_cache import PageCache
from tests.sharing import create_once

LONG = {
    "tests/journeys/test_staff_pages.py": 45,
    "tests/journeys/test_story_form.py": 40,
    "tests/journeys/test_worker_killed.py": 25,
    "tests/journeys/test_main_job.py": 20,
    "tests/journeys/test_story_page.py": 20,
    "tests/journeys/test_new_admin.py": 15,
    "tests/journeys/test_new_editor.py": 15,
    "tests/journeys/test_passkeys.py": 10,
    "tests/journeys/test_attack_mode.py": 10,
    "tests/journeys/test_provider_refusals.py": 10,
    "tests/rules/": 10,
    "tests/journeys/test_startup.py": 5,
}
"""The approximate seconds of slow modules, and of the rules, which parse all modules once. They run
first, each in one worker: so none of them runs alone at the end, and what they share is made once.
"""


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
        heads[lightest] += [item for item in items if item.nodeid.startswith(path)]
        weights[lightest] += weight
    rest = [item for item in items if not item.nodeid.startswith(tuple(LONG))]
    dealt: list[pytest.Item] = []
    for n, head in enumerate(heads):
        more = max(0, (len(items) - len(dealt)) // (workers - n) - len(head))
        dealt += [*head, *rest[:more]]
        del rest[:more]
    return [*dealt, *rest]


def pytest_collection_finish() -> None:
    """Exclude what lives for the whole run from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def queue_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "queue.db"
    WakeQueue(str(path), b"any key")
    return path


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    folder = create_once(tmp_path_factory, "templates", lambda empty: None)
    return FileSystemBytecodeCache(str(folder))


@pytest.fixture(scope="session")
def prepare_app(_templates: FileSystemBytecodeCache) -> Callable[[Flask], Flask]:
    """A function that readies an app: shared compiled templates, and cheap password hashes."""

    def prepare(app: Flask) -> Flask:
        app.config["TESTING"] = True
        app.jinja_env.bytecode_cache = _templates
        app.extensions["security"].pwd_context.update(
            argon2__time_cost=1, argon2__memory_cost=64, argon2__parallelism=1
        )
        return app

    return prepare


NOWHERE = {"database_url": "", "queue_url": "", "instance_dir": Path()}


@pytest.fixture(scope="session")
def shared_app(prepare_app: Callable[[Flask], Flask]) -> Callable[..., Flask]:
    """A function that gives the worker's app, as if it had been built around a test's services.

    Views ask the app for its services, so only those are exchanged, with all that a test may have
    changed. There is an app for each kind of settings, and for each set of a test's own views.
    """
    apps: dict[tuple[Settings, tuple[Blueprint, ...]], tuple[Flask, dict[str, Any]]] = {}

    def give(services: Services, *views: Blueprint) -> Flask:
        kind = services.settings.model_copy(update=NOWHERE), views
        if kind not in apps:
            app = prepare_app(build_app(services))
            for one in views:
                app.register_blueprint(one)
            apps[kind] = (app, dict(app.config))
            return app
        app, config = apps[kind]
        app.config.clear()
        app.config.update(config)
        app.extensions.update(nif=services, nif_pages=PageCache())
        engine = services.database.engine.execution_options(sqlite_begin="DEFERRED")
        with app.app_context():
            app.extensions["sqlalchemy"].engines[None] = engine
        return app

    return give
