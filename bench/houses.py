"""An instance of NIF of one's own for a measurement, thrown away afterwards."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.choosing import Wrong
from bench.processes import ROOT
from nif.settings import Settings, load_settings
from tests import postgres

NOT_OURS = ("NIF_", "GRANIAN_", "WEB_CONCURRENCY", "PORT")
"""What the person who measures has set for their own NIF must not change the figures."""


@dataclass(frozen=True)
class House:
    """An instance: the folder that holds what it writes, and its settings by name."""

    folder: Path
    given: dict[str, str]

    def environment(self, **more: str) -> dict[str, str]:
        """What a process of this instance finds in its environment."""
        kept = {key: os.environ[key] for key in os.environ if not key.startswith(NOT_OURS)}
        return {**kept, **{f"NIF_{name.upper()}": self.given[name] for name in self.given}, **more}

    def settings(self, **more: str) -> Settings:
        return load_settings(**self.given, **more, _env_file=None)

    def nif(self, *arguments: str) -> None:
        """Run a command of NIF here. Raises Wrong with what it said where it fails."""
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
            said = ended.stdout.decode(errors="replace").strip()
            raise Wrong(f"nif {' '.join(arguments)} failed: {said}")


@dataclass(frozen=True)
class Ground:
    """Where houses are built: a kind of database, and how to get an empty one of it."""

    database: str
    empty_database: Callable[[Path], str]

    @contextmanager
    def house(self, **given: str) -> Iterator[House]:
        """A house with migrated tables and nothing in them. `given` are further settings."""
        with tempfile.TemporaryDirectory(prefix="nif-bench-") as name:
            folder = Path(name)
            own = {
                "env": "development",
                "instance_dir": name,
                "database_url": self.empty_database(folder),
                "queue_url": f"sqlite:///{folder / 'queue.db'}",
                "secret_key": "for-measuring-only-" * 2,
                "mailer": "outbox",
            }
            house = House(folder, {**own, **given})
            house.nif("db", "upgrade")
            yield house


@contextmanager
def ground(database: str) -> Iterator[Ground]:
    """Ground of this kind. Raises postgres.Unavailable where there is no PostgreSQL."""
    if database == "sqlite":
        yield Ground(database, lambda folder: f"sqlite:///{folder / 'nif.db'}")
        return
    # As a database that is kept: what was committed must survive the loss of power.
    with postgres.cluster(durable=True) as cluster:
        yield Ground(database, lambda _folder: cluster.create_database("nif_test_bench"))
