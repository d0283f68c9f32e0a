"""The kill loop: workers are killed and stopped, answers lost, the database restarted.

Rounds overlap: while the last batches of one round wait for proof, the next one goes out, as in an
installation that sends every day. What counts at the end is the stand-in's log.
"""

import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from nif.sends.models import BatchState
from tests.postgres import Cluster
from tests.prove.installation import (
    IN_SECONDS,
    RunningInstallation,
    Scale,
    Troupe,
    a_full_list,
    running_installation,
    seeded,
)

FAULTS = {
    "accept_then_drop": 0.03,
    "accept_then_500": 0.02,
    "accept_then_502": 0.015,
    "slow": 0.015,
    "refuse_503": 0.01,
    "refuse_unread": 0.005,
}
"""The probability of each fault: 9.5 % of the answers are lost, late or 5xx."""

LONGEST_PAUSE = 2.0
"""Seconds, shorter than a lease and a quiet period together, except in the proof of long pauses.

A worker that sleeps longer between its last check of the lease and the first byte of a request
cannot be seen by any record. Only a fence helps against it. That moment is short.
"""


@dataclass(frozen=True)
class Plan:
    """How much is tried. A worker is stopped for a number of seconds between `pauses`.

    With `has_person`, one who knows the stand-in's log decides what nothing else can settle: where
    no worker posted canaries for a while, that is so.
    """

    rounds: int
    recipients: int = 6000
    batch_size: int = 100
    workers: int = 3
    seed: int = 1
    late: float = 0.0
    restart_every: int = 10
    pauses: tuple[float, float] = (0.3, LONGEST_PAUSE)
    share_of_pauses: float = 0.12
    has_person: bool = False
    patience: float = 120.0


def prove_kills(database: str, plan: Plan, scale: Scale = IN_SECONDS) -> dict[str, Any]:
    """Run the loop on a database of this kind; returns its figures."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="nif-prove-") as folder,
        running_installation(database, Path(folder), scale, "--latency", "0.01") as (
            stage,
            cluster,
        ),
    ):
        stage.standin.account(most_cancelled=100_000, cancel_margin=scale.recall_before / 2)
        late = {"late": plan.late, "late_seconds": scale.quiet * 2 + scale.lease}
        stage.standin.emit_to(stage.webhook, speed=20.0, seed=plan.seed, **late)
        stage.standin.random_faults(plan.seed, FAULTS, seconds={"slow": scale.request * 1.4})
        loop = Loop(stage, plan, scale, cluster, Path(folder) / "workers.log")
        try:
            loop.run()
        finally:
            loop.troupe.close()
        figures = loop.figures()
    return {
        "proof": "kills" if scale.fence_ahead is None else "kills.fenced",
        "database": database,
        **figures,
        "seconds": round(time.monotonic() - began, 1),
    }


class Loop:
    """One run of the kill loop."""

    def __init__(
        self,
        stage: RunningInstallation,
        plan: Plan,
        scale: Scale,
        cluster: Cluster | None,
        log: Path,
    ) -> None:
        self.stage, self.plan, self.scale, self.cluster = stage, plan, scale, cluster
        self.troupe = Troupe(stage, scale, log)
        self._dice: random.Random = seeded(plan.seed)
        self._asleep: set[int] = set()
        self.kills = self.pauses = self.restarts = self.asked = 0
        self.readers: dict[int, list[int]] = {}

    def run(self) -> None:
        list_id, ids = a_full_list(self.stage, "all", self.plan.recipients)
        for number in range(self.plan.rounds):
            send = self.stage.plan(list_id, batch_size=self.plan.batch_size)
            self.readers[send] = ids
            while len(self.troupe.alive) < self.plan.workers:
                self.troupe.spawn()
            if self.cluster and number % self.plan.restart_every == self.plan.restart_every - 1:
                self.cluster.restart("immediate")
                self.restarts += 1
            self._harass_until(self._has_gone_out)
        # No more faults, so that it ends. No other mail goes out: canaries alone show whether the
        # stream of events is alive.
        self.stage.standin.clear_faults()
        end = time.monotonic() + self.plan.patience
        while not self.stage.all_finished() and time.monotonic() < end:
            time.sleep(0.5)
            if self.plan.has_person and self._only_a_person_can_help():
                self.asked += self.stage.decide_by_log()

    def figures(self) -> dict[str, Any]:
        stats = self.stage.standin.stats()
        ambiguous = sum(stats["faults"].values())
        found = self.stage.check(self.readers)
        tries = self.kills + ambiguous
        return {
            "seed": self.plan.seed,
            "rounds": self.plan.rounds,
            "recipients": sum(map(len, self.readers.values())),
            "kills": self.kills,
            "pauses": self.pauses,
            "restarts": self.restarts,
            "asked": self.asked,
            "ambiguous": ambiguous,
            "late_groups": stats["events"].get("late_groups", 0),
            "slowest_event": self.stage.slowest_event(),
            "quiet_period": self.scale.quiet,
            **found,
            "bound": round(3 / tries, 6) if tries else None,
            "holds": not any(found.values()),
        }

    def _only_a_person_can_help(self) -> bool:
        waiting = self.stage.unsettled(BatchState.AWAITING_DECISION)
        others = (BatchState.PLANNED, BatchState.IN_FLIGHT, BatchState.AWAITING_PROOF)
        return waiting > 0 and self.stage.unsettled(*others) == 0

    def _has_gone_out(self) -> bool:
        return self.stage.unsettled(BatchState.PLANNED) == 0

    def _harass_until(self, done: Any) -> None:
        end = time.monotonic() + self.plan.patience
        while not done() and time.monotonic() < end:
            time.sleep(self._dice.uniform(0.15, 0.5))
            awake = [w for w in self.troupe.alive if w not in self._asleep]
            if not awake:
                continue
            worker = self._dice.choice(awake)
            if len(awake) > 1 and self._dice.random() < self.plan.share_of_pauses:
                self._put_to_sleep(worker)
            else:
                self.troupe.kill(worker)
                self.troupe.spawn()
                self.kills += 1

    def _put_to_sleep(self, worker: int) -> None:
        """Stop a worker, to be woken by a timer: it may hold what the loop itself waits for."""
        os.kill(worker, signal.SIGSTOP)
        self._asleep.add(worker)
        self.pauses += 1
        Timer(self._dice.uniform(*self.plan.pauses), self._wake_up, [worker]).start()

    def _wake_up(self, worker: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)
        self._asleep.discard(worker)
