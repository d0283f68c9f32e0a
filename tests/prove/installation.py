"""An installation with real processes: its provider, its workers, and what became of its mail."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.database import Database, Transaction
from nif.sends import control
from nif.sends.certificates import certify_send
from nif.sends.models import Attempt, Batch, BatchState, Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.settings import PROJECT, load_settings
from nif.subscriptions.models import MailingList
from tests import postgres
from tests.factories import a_list, a_plain_edition, subscriptions
from tests.journeys.installation import Installation
from tests.standin.client import Standin

FIRST_DAY = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Scale:
    """Seconds, in place of a minute and a half, half an hour and so on in production."""

    lease: float = 1.0
    quiet: float = 6.0
    canary: float = 1.5
    request: float = 0.8
    fence_ahead: float | None = None
    recall_before: float = 2.0


IN_SECONDS = Scale()


class RunningInstallation:
    """An installation with its stand-in. `webhook` is where the stand-in posts its events."""

    def __init__(self, database: Database, standin: Standin, settings: dict[str, Any]) -> None:
        self.database, self.standin, self.settings = database, standin, settings
        self.webhook = ""
        self._days = count()

    def in_transaction(self, act: Callable[[Session], Any]) -> Any:
        """Change something in the database, again where it is being restarted."""
        return _again(self.database.transaction, act)

    def query_value(self, query: Any) -> Any:
        """The first value of a query; on SQLite without waiting for a sleeping worker."""
        return _again(self.database.reading, lambda session: session.scalar(query))

    def plan(self, list_id: int, *, batch_size: int) -> int:
        """Plan a send to everyone on a list; return its id."""

        def act(session: Session) -> int:
            day = FIRST_DAY + timedelta(days=next(self._days))
            edition = a_plain_edition(session, session.get_one(MailingList, list_id), now=day)
            terms = SendTerms(batch_size, max_delay=timedelta(days=9999))
            return plan_send(session, edition, terms, now=utc_now()).id

        return int(self.in_transaction(act))

    def unsettled(self, *states: BatchState) -> int:
        """How many batches are in one of these states."""
        query = select(func.count()).select_from(Batch).where(Batch.state.in_(states))
        return int(self.query_value(query))

    def decide_by_log(self) -> int:
        """Decide the batches that wait for a person, as one would who knows the stand-in's log.

        Returns how many there were.
        """
        taken = {record["attempt"] for record in self.standin.accepted()}

        def act(session: Session) -> int:
            waiting = select(Batch).where(Batch.state == BatchState.AWAITING_DECISION)
            batches = session.scalars(waiting).all()
            for batch in batches:
                control.resolve_undecided_batch(
                    session,
                    session.get_one(Send, batch.send_id),
                    batch.id,
                    batch.attempt_id or "",
                    accepted=batch.attempt_id in taken,
                    now=utc_now(),
                )
            return len(batches)

        return int(self.in_transaction(act))

    def all_finished(self) -> bool:
        query = select(Send.id).where(Send.state != SendState.FINISHED).limit(1)
        return self.query_value(query) is None

    def slowest_event(self) -> float:
        """The most seconds between an acceptance and the first event about it.

        The promises hold while this is less than the quiet period.
        """
        with self.database.reading() as session:
            query = select(Attempt.id, Attempt.event_seen_at).where(
                Attempt.event_seen_at.is_not(None)
            )
            heard = {attempt: at.timestamp() for attempt, at in session.execute(query)}
        accepted = {record["attempt"]: record["at"] for record in self.standin.accepted()}
        lags = (heard[attempt] - at for attempt, at in accepted.items() if attempt in heard)
        return round(max(lags, default=0.0), 2)

    def check(self, readers: dict[int, list[int]]) -> dict[str, int]:
        """Count who was mailed twice, left out or is undecided, by the stand-in's log."""
        mailed = self.standin.deliveries()
        due = Counter(f"{send}.{reader}" for send, ids in readers.items() for reader in ids)
        complete = [
            certify_send(self.database, send, now=utc_now()).is_complete for send in readers
        ]
        held = self.unsettled(BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION)
        return {
            "twice": (mailed - due).total(),
            "skipped": (due - mailed).total(),
            "held": held,
            "incomplete": complete.count(False),
        }


def _again(open_session: Transaction, act: Callable[[Session], Any]) -> Any:
    while True:
        try:
            with open_session() as session:
                return act(session)
        except DBAPIError:
            time.sleep(0.1)


class Troupe:
    """The workers: always as many as wanted, however many are killed."""

    def __init__(self, stage: RunningInstallation, scale: Scale, log: Path) -> None:
        self._log = log.open("ab")
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.prove.worker_process"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._write_line(json.dumps({"settings": stage.settings, "request_seconds": scale.request}))
        self.alive: list[int] = []

    def spawn(self) -> int:
        self._write_line("one more")
        self.alive.append(int(self._mother.stdout.readline()))
        return self.alive[-1]

    def kill(self, worker: int) -> None:
        """kill -9 a worker; another one takes its place."""
        self.alive.remove(worker)
        os.kill(worker, signal.SIGKILL)

    def close(self) -> None:
        for worker in self.alive:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self._mother.communicate()
        self._log.close()

    def _write_line(self, line: str) -> None:
        self._mother.stdin.write(line + "\n")
        self._mother.stdin.flush()


@contextmanager
def running_installation(
    kind: str, folder: Path, scale: Scale, *options: str, **given: Any
) -> Iterator[tuple[RunningInstallation, "postgres.Cluster | None"]]:
    """A new installation with a web process, on a new database of this kind."""
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster()) if kind == "postgresql" else None
        url = cluster.create_database("nif_test_prove") if cluster else f"sqlite:///{folder}/n.db"
        standin = stack.enter_context(Standin("--check", "light", *options))
        settings = {
            "env": "testing",
            "database_url": url,
            "queue_url": str(folder / "queue.db"),
            "instance_dir": str(folder),
            "secret_key": "a key for proofs that is quite long enough",
            "mailer": "sendgrid",
            "sendgrid_host": standin.url,
            "sendgrid_api_key": standin.api_key,
            "sendgrid_webhook_public_keys": standin.public_key,
            "send_concurrency": "2",
            "send_lease": str(scale.lease),
            "send_quiet_period": str(scale.quiet),
            "canary_every": str(scale.canary),
            **_fence(scale),
            **given,
        }
        house = stack.enter_context(Installation(folder, **_without_own_paths(settings)))
        upgraded = house.run("db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        house.start("serve")
        settings["base_url"] = house.url
        database = Database(load_settings(_env_file=None, **settings).database)
        stack.callback(database.close)
        stage = RunningInstallation(database, standin, settings)
        stage.webhook = f"{house.url}/webhooks/sendgrid/events"
        yield stage, cluster


def _fence(scale: Scale) -> dict[str, str]:
    if scale.fence_ahead is None:
        return {}
    return {
        "send_fence": "true",
        "send_fence_ahead": str(scale.fence_ahead),
        "send_recall_before": str(scale.recall_before),
    }


def _without_own_paths(settings: dict[str, Any]) -> dict[str, Any]:
    own = ("queue_url", "instance_dir")
    return {name: value for name, value in settings.items() if name not in own}


def a_full_list(stage: RunningInstallation, slug: str, size: int) -> tuple[int, list[int]]:
    """A list with so many confirmed subscribers; returns its id and theirs."""

    def act(session: Session) -> tuple[int, list[int]]:
        mailing_list = a_list(session, slug=slug)
        return mailing_list.id, subscriptions(session, mailing_list, size)

    return stage.in_transaction(act)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)
