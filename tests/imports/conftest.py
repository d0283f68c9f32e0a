"""An importer: uploads a few bytes as a file and imports them into a list."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.imports import imports, runner
from nif.imports.models import ImportRun
from nif.imports.runner import ImportContext, run_import
from nif.subscriptions.models import MailingList, Subscriber, Subscription
from tests.conftest import NOON
from tests.factories import a_list

CONSENT_SOURCE = "They signed up on our old site, with a confirmation by mail."


@dataclass
class Importer:
    """Imports files into the list `daily`, acting as the admin and as the worker."""

    database: Database
    folder: Path
    list_id: int

    @property
    def context(self) -> ImportContext:
        return ImportContext(self.database.transaction, self.folder, lambda: NOON)

    def upload(self, data: bytes, *, confirmed: bool = True) -> int:
        stored = imports.store_import_file(BytesIO(data), self.folder, max_bytes=50_000_000)
        with imports.open_import_file(self.folder, stored.name) as file:
            proposed = imports.detect_file_layout(file)
        with self.database.transaction() as session:
            mailing_list = session.get_one(MailingList, self.list_id)
            run = imports.create_import(session, mailing_list, stored, "f.csv", proposed, now=NOON)
            imports.set_consent_source(run, CONSENT_SOURCE, confirmed=confirmed)
            return run.id

    def run_step(self, step: str, import_id: int) -> ImportRun:
        """Start one of dry-run, start, undo and resume, and let a worker do it."""
        with self.database.transaction() as session:
            run = session.get_one(ImportRun, import_id)
            if step == "start":
                imports.start_import(session, run, now=NOON)
            elif step == "dry-run":
                imports.start_dry_run(session, run, now=NOON)
            elif step == "undo":
                imports.start_undo(run, now=NOON)
            else:
                imports.resume_import(run, now=NOON)
        assert run_import(self.context, import_id)
        return self.get_run(import_id)

    def import_file(self, data: bytes, *, confirmed: bool = True) -> ImportRun:
        return self.run_step("start", self.upload(data, confirmed=confirmed))

    def get_run(self, import_id: int) -> ImportRun:
        with self.database.reading() as session:
            return session.get_one(ImportRun, import_id)

    def subscription_states(self) -> dict[str, str]:
        """The state of each subscription of the list, by address."""
        with self.database.reading() as session:
            query = select(Subscriber.address, Subscription.state).join(
                Subscription, Subscription.subscriber_id == Subscriber.id
            )
            return {
                address: state.value
                for address, state in session.execute(
                    query.where(Subscription.list_id == self.list_id)
                )
            }

    def list_counters(self) -> dict[str, int]:
        """The list's stored counters that are not zero."""
        with self.database.reading() as session:
            found = session.get_one(MailingList, self.list_id)
            return {
                name: count
                for name in ("pending", "confirmed", "unsubscribed")
                if (count := getattr(found, f"{name}_count"))
            }


@pytest.fixture
def importer(database: Database, tmp_path: Path) -> Importer:
    with database.transaction() as session:
        list_id = a_list(session).id
    return Importer(database, tmp_path / "imports", list_id)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def set_rows(size: int) -> None:
        monkeypatch.setattr(runner, "SQLITE_BATCH_ROWS", size)
        monkeypatch.setattr(runner, "POSTGRESQL_BATCH_ROWS", size)

    return set_rows
