"""The webhook is down for longer than the quiet period, in every phase of an uncertain batch.

There is one list and no other mail. A batch is taken by the stand-in or not, and its answer is lost
either way. Then nobody reaches the web process for a while, and afterwards the stand-in repeats its
events. What was taken must not be posted again, and an event settles it in the end. What was not is
released where the stream was watched without a gap, and left to a person otherwise: here one who
knows the log of the stand-in.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from nif.sends.models import BatchState, Send, SendState
from tests.prove.gate import Gate, a_gate
from tests.prove.installation import (
    RunningInstallation,
    Scale,
    Troupe,
    a_full_list,
    running_installation,
)
from tests.waiting import becomes_true

SCALE = Scale(lease=2.0, quiet=6.0, canary=1.5, request=0.8)
RECIPIENTS, BATCH = 300, 100
PHASES = (-1.0, 0.0, 0.5, 1.5, 3.0, 5.0, 7.0, 8.5)
"""Seconds from the lost answer to the outage."""

OUTAGE = SCALE.quiet + 2 * SCALE.canary
PATIENCE = 60.0


def prove_outages(database: str, *, rounds: int = len(PHASES)) -> dict[str, Any]:
    """Two sends in each phase, taken and not, and two without an outage; returns the figures."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="nif-prove-") as folder,
        running_installation(database, Path(folder), SCALE) as (stage, _),
        a_gate(stage.webhook) as gate,
    ):
        path = stage.webhook.partition("//")[2].partition("/")[2]
        stage.standin.emit_to(f"{gate.url}/{path}", speed=20.0)
        troupe = Troupe(stage, SCALE, Path(folder) / "workers.log")
        try:
            found = Outages(stage, gate, troupe).run(rounds)
        finally:
            troupe.close()
    return {
        "proof": "outages",
        "database": database,
        **found,
        "seconds": round(time.monotonic() - began, 1),
    }


class Outages:
    """One run: sends one after the other, each with an outage of the webhook in some phase."""

    def __init__(self, stage: RunningInstallation, gate: Gate, troupe: Troupe) -> None:
        self.stage, self.gate = stage, gate
        self.list_id, self.ids = a_full_list(stage, "all", RECIPIENTS)
        self.readers: dict[int, list[int]] = {}
        self.counts: Counter[str] = Counter()
        troupe.spawn()

    def run(self, rounds: int) -> dict[str, Any]:
        for phase in (None, *PHASES[:rounds]):
            for fault in ("accept_then_500", "refuse_503"):
                self._send(phase, was_taken=fault == "accept_then_500", fault=fault)
        found = self.stage.check(self.readers)
        wrong = {name: found[name] for name in ("twice", "skipped", "held", "incomplete")}
        needless = self.counts["held though taken"] + self.counts["held without an outage"]
        return {
            "sends": len(self.readers),
            "outages": 2 * min(rounds, len(PHASES)),
            **self.counts,
            **wrong,
            "holds": not any(wrong.values()) and not needless,
        }

    def _send(self, phase: float | None, *, was_taken: bool, fault: str) -> None:
        self.stage.standin.push_fault(fault, skip=1)
        if phase is not None and phase < 0:
            self.gate.shut()
            time.sleep(-phase)
        send_id = self.stage.plan(self.list_id, batch_size=BATCH)
        self.readers[send_id] = self.ids
        becomes_true(lambda: self._undecided() > 0, seconds=PATIENCE)
        if phase is not None:
            time.sleep(max(0.0, phase))
            self.gate.shut()
            time.sleep(OUTAGE)
            self.gate.open()
        self._settle(send_id, was_taken=was_taken, had_outage=phase is not None)

    def _settle(self, send_id: int, *, was_taken: bool, had_outage: bool) -> None:
        """Wait until a send is finished; a person decides what nothing else can settle."""
        ends = (lambda: self._is_finished(send_id)) if was_taken else lambda: self._over(send_id)
        becomes_true(ends, seconds=PATIENCE)
        if self._is_finished(send_id):
            self.counts["settled" if was_taken else "released"] += 1
            return
        self.counts["asked"] += 1
        if was_taken:
            self.counts["held though taken"] += 1
        elif not had_outage:
            self.counts["held without an outage"] += 1
        self.stage.decide_by_log()
        becomes_true(lambda: self._is_finished(send_id), seconds=PATIENCE)

    def _undecided(self) -> int:
        return self.stage.unsettled(BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION)

    def _over(self, send_id: int) -> bool:
        """Is it finished, or does a batch wait for a person and no other?"""
        asked = self.stage.unsettled(BatchState.AWAITING_DECISION) > 0
        return self._is_finished(send_id) or (asked and self._undecided() == 1)

    def _is_finished(self, send_id: int) -> bool:
        state = self.stage.query_value(select(Send.state).where(Send.id == send_id))
        return state is SendState.FINISHED
