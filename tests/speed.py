"""What makes the suite quick: things that are costly, and the same for each test of a run."""

import gc
from typing import Any

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from werkzeug.routing import Rule

_builders: dict[str, Any] = {}
_compile = Rule._compile_builder


def pytest_collection_finish() -> None:
    """What is there for the whole run is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    Rule._compile_builder = _compile_once


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    """Routes are turned into code once for a run, and not again for each app."""
    key = repr((rule.rule, rule.defaults, rule._trace, append_unknown))
    if key not in _builders:
        _builders[key] = _compile(rule, append_unknown)
    return _builders[key]


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
