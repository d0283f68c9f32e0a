"""The command line, over the database of the test."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from nif.cli import common
from nif.cli.main import nif
from nif.services import Services, build_services
from nif.settings import Settings
from tests.sharing import close_unless_shared, share_resources


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, what it printed, and its output parsed as JSON."""

    status: int
    text: str
    error: str

    @property
    def data(self) -> Any:
        return json.loads(self.text)


Run = Callable[..., Ended]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `nif …` as an operator does. Its database shares what those of tests share."""
    environment = {
        "NIF_ENV": "testing",
        "NIF_DATABASE_URL": settings.database.replace("+psycopg", "", 1),
        "NIF_QUEUE_URL": settings.queue,
        "NIF_INSTANCE_DIR": str(settings.instance_dir),
        "NIF_SECRET_KEY": settings.secret_key.get_secret_value(),
    }
    built: list[Services] = []

    def build(its_settings: Settings) -> Services:
        built.append(build_services(its_settings))
        share_resources(built[-1].database)
        return built[-1]

    monkeypatch.setattr(common, "build_services", build)

    def run(*arguments: str) -> Ended:
        try:
            result = CliRunner().invoke(nif, arguments, env=environment, catch_exceptions=False)
            return Ended(result.exit_code, result.stdout, result.stderr)
        finally:
            while built:
                close_unless_shared(built[-1].database)
                built.pop().queue.huey.storage.close()

    return run
