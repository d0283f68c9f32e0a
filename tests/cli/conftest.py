"""The command line, over the database of the test."""

import gc
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from nif.cli.main import nif
from nif.settings import Settings


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
def run(settings: Settings) -> Run:
    """Runs `nif …` as an operator does."""
    environment = {
        "NIF_ENV": "testing",
        "NIF_DATABASE_URL": settings.database.replace("+psycopg", "", 1),
        "NIF_QUEUE_URL": settings.queue,
        "NIF_INSTANCE_DIR": str(settings.instance_dir),
        "NIF_SECRET_KEY": settings.secret_key.get_secret_value(),
    }

    def run(*arguments: str) -> Ended:
        try:
            result = CliRunner().invoke(nif, arguments, env=environment, catch_exceptions=False)
            return Ended(result.exit_code, result.stdout, result.stderr)
        finally:
            result = None
            _close_connections()

    return run


def _close_connections() -> None:
    """A command's connections end with its process; here the process goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
