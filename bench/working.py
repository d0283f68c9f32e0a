"""A worker of its own for one send, measured from outside."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.choosing import Wrong
from bench.houses import House
from bench.processes import cpu_seconds, peak_memory, process
from tests.standin.client import Standin

FOR_LOAD = ("--check", "light")


@dataclass(frozen=True)
class Work:
    """What one send took: `seconds` of delivering; CPU and memory of the whole process.

    `standins_cpu` is what the stand-in needed meanwhile, on the same cores.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    standins_cpu: float


def deliver_to(standin: Standin, house: House, send_id: int) -> Work:
    """Let a worker deliver a send to the stand-in, from its start to its end."""
    environment = house.environment(
        NIF_MAILER="sendgrid",
        NIF_SENDGRID_HOST=standin.url,
        NIF_SENDGRID_API_KEY=standin.api_key,
    )
    command = [sys.executable, "-m", "bench.one_send", str(send_id)]
    before = cpu_seconds(standin._process.pid)
    with process(command, environment, stdout=subprocess.PIPE) as worker:
        assert worker.stdin
        assert worker.stdout
        line = worker.stdout.readline()
        if not line:
            raise Wrong("the worker ended before it had sent; its last words stand above")
        peak = peak_memory(worker.pid)
        meanwhile = cpu_seconds(standin._process.pid) - before
        worker.stdin.close()
        _, status, usage = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise Wrong(f"the worker ended with {worker.returncode}")
    busy = usage.ru_utime + usage.ru_stime
    return Work(json.loads(line)["seconds"], busy, peak, meanwhile)
