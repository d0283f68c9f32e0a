"""Four workers in four processes share one send; one of them is killed, and one falls asleep."""

import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from nif.clock import utc_now
from nif.sends.certificates import certify_send
from nif.sends.models import Attempt, BatchState, Lease, Send
from tests.prove.installation import (
    RunningInstallation,
    Scale,
    Troupe,
    a_full_list,
    running_installation,
)

SCALE = Scale(lease=3.0, quiet=8.0, request=2.0)
NAP = 6.0
PATIENCE = 900.0


def prove_workers(database: str, *, recipients: int, workers: int = 4) -> dict[str, Any]:
    """Have them share a send of that size; returns its figures, by the stand-in's log."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="nif-prove-") as folder,
        running_installation(database, Path(folder), SCALE) as (stage, _),
    ):
        stage.standin.emit_to(stage.webhook, speed=20.0)
        # Before the workers start: they cannot write while such a list is written.
        everyone = a_full_list(stage, "all", recipients)
        troupe = Troupe(stage, SCALE, Path(folder) / "workers.log")
        try:
            return {
                "proof": "workers",
                "database": database,
                **_play(stage, troupe, everyone, workers),
                "seconds": round(time.monotonic() - began, 1),
            }
        finally:
            troupe.close()


def _play(
    stage: RunningInstallation, troupe: Troupe, everyone: tuple[int, list[int]], workers: int
) -> dict[str, Any]:
    list_id, ids = everyone
    small_id, few = a_full_list(stage, "few", 3)
    send = stage.plan(list_id, batch_size=1000)
    for _ in range(workers):
        troupe.spawn()
    _wait(lambda: stage.unsettled(BatchState.ACCEPTED) > len(ids) // 5000)
    killed, asleep = troupe.alive[:2]
    troupe.kill(killed)
    os.kill(asleep, signal.SIGSTOP)
    time.sleep(NAP)
    with suppress(ProcessLookupError):
        os.kill(asleep, signal.SIGCONT)
    readers = {send: ids}
    while not stage.all_finished():
        readers[stage.plan(small_id, batch_size=100)] = few
        time.sleep(2.0)
    made = certify_send(stage.database, send, now=utc_now())
    found = stage.check(readers)
    return {
        "recipients": len(ids),
        "workers": _who_posted(stage, send),
        "killed": 1,
        "asleep": 1,
        **found,
        "accepted": made.accepted,
        "complete": made.is_complete,
        "holds": made.is_complete and not any(found.values()),
    }


def _who_posted(stage: RunningInstallation, send_id: int) -> int:
    """How many processes posted part of a send."""
    query = (
        select(func.count(Lease.holder.distinct()))
        .join(Attempt, Attempt.lease_id == Lease.id)
        .join(Send, Send.id == Attempt.send_id)
        .where(Send.id == send_id)
    )
    return int(stage.query_value(query))


def _wait(until: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not until() and time.monotonic() < end:
        time.sleep(0.2)
