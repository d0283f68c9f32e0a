"""What makes the suite quick: things that are costly, and the same for each test of a run."""

import functools
import gc
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from werkzeug.routing import Rule

from nif.queue import Queue
from nif.subscriptions import establishing
from tests.sharing import set_up_queues_once

_rules: dict[str, dict[str, Any]] = {}
_compile = Rule.compile


def pytest_collection_finish() -> None:
    """What is there for the whole run is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    Rule.compile = _compile_once
    establishing.available_timezones = functools.cache(establishing.available_timezones)
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
    Queue(str(path), b"any key")
    return path


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def quick(_templates: FileSystemBytecodeCache) -> Any:
    """Makes an app quick: templates are compiled once, and passwords hashed with less care."""

    def quickened(app: Flask) -> Flask:
        app.jinja_env.bytecode_cache = _templates
        app.extensions["security"].pwd_context.update(argon2__time_cost=1, argon2__memory_cost=64)
        return app

    return quickened
