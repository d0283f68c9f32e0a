"""A worker process for one send, measured from outside."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.installations import Installation
from bench.options import BenchFailed
from bench.processes import cpu_seconds, peak_memory, process
from tests.standin.client import Standin

STANDIN_ARGUMENTS = ("--check", "light")


@dataclass(frozen=True)
class DeliveryMeasurement:
    """The `seconds` of delivering a send, and CPU and memory of the whole process.

    `standin_cpu_seconds` is the CPU time of the stand-in, which runs on the same cores.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    standin_cpu_seconds: float


def measure_delivery(
    standin: Standin, installation: Installation, send_id: int
) -> DeliveryMeasurement:
    """Have a worker process deliver a send to the stand-in, and measure it."""
    environment = installation.environment(
        NIF_MAILER="sendgrid", NIF_SENDGRID_HOST=standin.url, NIF_SENDGRID_API_KEY=standin.api_key
    )
    command = [sys.executable, "-m", "bench.deliver_one_send", str(send_id)]
    standin_cpu_before = cpu_seconds(standin._process.pid)
    with process(command, environment, stdout=subprocess.PIPE) as worker:
        assert worker.stdin
        assert worker.stdout
        line = worker.stdout.readline()
        if not line:
            raise BenchFailed("the worker ended before it had delivered; see its output above")
        peak = peak_memory(worker.pid)
        standin_cpu = cpu_seconds(standin._process.pid) - standin_cpu_before
        worker.stdin.close()
        _, status, usage = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise BenchFailed(f"the worker ended with {worker.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return DeliveryMeasurement(json.loads(line)["seconds"], cpu, peak, standin_cpu)
