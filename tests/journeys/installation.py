"""A NIF installation in separate processes, as an operator runs it."""

import multiprocessing
import os
import socket
import subprocess
import sys
from contextlib import closing
from html import unescape
from http.client import HTTPConnection, HTTPException
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.request import urlopen

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
        self._log = folder / "installation.log"
        self._processes: dict[str, BaseProcess] = {}
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
        self._processes[name] = self._fork((name,), self._log, self._log)
        if name == "serve":
            wait_until(self._answers, "the web process answers")

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        process = self._processes.pop(name)
        process.kill()
        process.join()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `nif …` to its end, in a forked process that has already imported the modules."""
        with TemporaryDirectory() as folder:
            outputs = (Path(folder, "stdout"), Path(folder, "stderr"))
            process = self._fork(command, *outputs)
            process.join(LIMIT)
            if process.exitcode is None:
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(command, LIMIT)
            texts = [path.read_text() for path in outputs]
            return subprocess.CompletedProcess(command, process.exitcode, *texts)

    def wait_for_mail(self, text: str) -> None:
        """Wait until the outbox lists a mail with a text, without a browser, which costs more."""
        wait_until(lambda: text in self.outbox(), f"a mail with “{text}” is in the outbox")

    def outbox(self) -> str:
        with urlopen(f"{self.url}/outbox") as answer:
            return unescape(answer.read().decode())

    def _fork(self, command: tuple[str, ...], out: Path, err: Path) -> BaseProcess:
        process = FORKS.Process(target=_run, args=(command, self.environment, out, err))
        process.start()
        return process

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
            process.join(LIMIT)
            if process.exitcode is None:
                process.kill()
                process.join()
        if self._log.exists():  # Pytest shows it beside a failed test.
            print(self._log.read_text(errors="replace"))


def _run(command: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT)
    for number, path in ((1, out), (2, err)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    sys.argv[:] = ["nif", *command]
    main()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
