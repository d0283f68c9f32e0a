"""A whole NIF in processes of its own, as an operator would run it."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from nif.cli.main import main
from nif.settings import PROJECT

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class House:
    """`serve`, `worker` and commands over one database; everything ends with the block."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "house.log").open("a+b")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NIF_")},
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "1",
            "NIF_INSTANCE_DIR": str(folder),
            "NIF_DATABASE_URL": database_url,
            "NIF_QUEUE_URL": str(folder / "queue.db"),
            "NIF_BASE_URL": self.url,
            **{f"NIF_{name.upper()}": value for name, value in settings.items()},
        }

    def start(self, name: str) -> None:
        """Start `serve` or `worker`; returns when the page is served."""
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", "nif", name],
            cwd=PROJECT,
            env=self.environment,
            stdout=self._log,
            stderr=self._log,
        )
        if name == "serve":
            until(self._answers, "the page is served")

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `nif …` to its end, in a process of its own that need not first read its modules."""
        with TemporaryDirectory() as folder:
            said = (Path(folder, "stdout"), Path(folder, "stderr"))
            process = FORKS.Process(target=_run, args=(command, self.environment, *said))
            process.start()
            process.join(60)
            if process.exitcode is None:
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(command, 60)
            texts = [path.read_text() for path in said]
            return subprocess.CompletedProcess(command, process.exitcode, *texts)

    def _answers(self) -> bool:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
            try:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.seek(0)
        # Pytest shows it beside a test that failed.
        print(self._log.read().decode(errors="replace"))
        self._log.close()


def _run(command: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT)
    for number, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv[:] = ["nif", *command]
    main()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Wait until something is true; fails with `what` where it does not become so in time."""
    if not comes_true(true, seconds=seconds):
        raise AssertionError(f"in {seconds} seconds it did not come true that {what}")


def comes_true(true: Callable[[], object], *, seconds: float) -> bool:
    """Wait until something is true, and no longer than that; did it become so?"""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
