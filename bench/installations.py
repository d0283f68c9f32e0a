"""A NIF installation for one measurement, deleted afterwards."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.options import BenchFailed
from bench.processes import ROOT
from nif.settings import Settings, load_settings
from tests import postgres

EXCLUDED_PREFIXES = ("NIF_", "GRANIAN_", "WEB_CONCURRENCY", "PORT")
"""Settings of the person's own NIF, which must not influence the figures."""


@dataclass(frozen=True)
class Installation:
    """An installation: the folder that holds its files, and its settings by name."""

    folder: Path
    overrides: dict[str, str]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a process of this installation."""
        inherited = {
            key: os.environ[key] for key in os.environ if not key.startswith(EXCLUDED_PREFIXES)
        }
        return {
            **inherited,
            **{f"NIF_{name.upper()}": self.overrides[name] for name in self.overrides},
            **more,
        }

    def settings(self, **more: str) -> Settings:
        return load_settings(**self.overrides, **more, _env_file=None)

    def run_nif(self, *arguments: str) -> None:
        """Run a `nif` command. Raises BenchFailed with its output if it fails."""
        ended = subprocess.run(
            [sys.executable, "-m", "nif", *arguments],
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ended.returncode:
            output = ended.stdout.decode(errors="replace").strip()
            raise BenchFailed(f"nif {' '.join(arguments)} failed: {output}")


@dataclass(frozen=True)
class BenchDatabase:
    """SQLite or PostgreSQL, and how to get an empty database of it."""

    database: str
    empty_database: Callable[[Path], str]

    @contextmanager
    def installation(self, **overrides: str) -> Iterator[Installation]:
        """An installation with empty, migrated tables. `overrides` are additional settings."""
        with tempfile.TemporaryDirectory(prefix="nif-bench-") as name:
            folder = Path(name)
            defaults = {
                "env": "development",
                "instance_dir": name,
                "database_url": self.empty_database(folder),
                "queue_url": f"sqlite:///{folder / 'queue.db'}",
                "secret_key": "for-measuring-only-" * 2,
                "mailer": "outbox",
            }
            installation = Installation(folder, {**defaults, **overrides})
            installation.run_nif("db", "upgrade")
            yield installation


@contextmanager
def open_bench_database(database: str) -> Iterator[BenchDatabase]:
    """Start a database server if needed. Raises postgres.Unavailable without PostgreSQL."""
    if database == "sqlite":
        yield BenchDatabase(database, lambda folder: f"sqlite:///{folder / 'nif.db'}")
        return
    # Durable, like a production database: commits must survive a power failure.
    with postgres.cluster(durable=True) as cluster:
        yield BenchDatabase(database, lambda _folder: cluster.create_database("nif_test_bench"))
