"""A NIF installation in separate processes, as an operator runs it."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from nif.cli.main import main
from nif.settings import PROJECT
from tests.waiting import LIMIT, wait_until

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class Installation:
    """`serve`, `worker` and commands on one database. All processes end with the `with` block."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "installation.log").open("a+b")
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
        """Start `serve` or `worker`; `serve` returns once it answers."""
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", "nif", name],
            cwd=PROJECT,
            env=self.environment,
            stdout=self._log,
            stderr=self._log,
        )
        if name == "serve":
            wait_until(self._answers, "the web process answers")

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `nif …` to its end, in a forked process that has already imported the modules."""
        with TemporaryDirectory() as folder:
            outputs = (Path(folder, "stdout"), Path(folder, "stderr"))
            process = FORKS.Process(target=_run, args=(command, self.environment, *outputs))
            process.start()
            process.join(LIMIT)
            if process.exitcode is None:
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(command, LIMIT)
            texts = [path.read_text() for path in outputs]
            return subprocess.CompletedProcess(command, process.exitcode, *texts)

    def _answers(self) -> bool:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)) as connection:
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
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.seek(0)
        # Pytest shows this output beside a failed test.
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
