"""A list, and a way to import into it what stands in a few bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.imports import files, imports, runner
from nif.imports.models import ImportRun
from nif.imports.runner import ImportContext, run_import
from nif.subscriptions.models import MailingList, Subscriber, Subscription
from tests.conftest import NOON
from tests.factories import a_list

BASIS = "They signed up on our old site, with a confirmation by mail."


@dataclass
class Desk:
    """Imports files into the list `daily`, as an admin and a worker would."""

    database: Database
    folder: Path
    list_id: int

    @property
    def context(self) -> ImportContext:
        return ImportContext(self.database.transaction, self.folder, lambda: NOON)

    def take(self, data: bytes, *, confirmed: bool = True) -> int:
        stored = files.store_import_file(BytesIO(data), self.folder, most=50_000_000)
        with files.open_import_file(self.folder, stored.name) as file:
            proposed = imports.detect_file_layout(file)
        with self.database.transaction() as session:
            mailing_list = session.get_one(MailingList, self.list_id)
            run = imports.create_import(session, mailing_list, stored, "f.csv", proposed, now=NOON)
            imports.set_consent_source(run, BASIS, confirmed=confirmed)
            return run.id

    def do(self, what: str, import_id: int) -> ImportRun:
        """One of check, start, undo, resume: asked for, and done by a worker."""
        with self.database.transaction() as session:
            run = session.get_one(ImportRun, import_id)
            if what == "start":
                imports.start_import(session, run, now=NOON)
            elif what == "check":
                imports.start_dry_run(session, run)
            elif what == "undo":
                imports.start_undo(run)
            else:
                imports.resume_import(run)
        assert run_import(self.context, import_id)
        return self.run(import_id)

    def bring_in(self, data: bytes, *, confirmed: bool = True) -> ImportRun:
        return self.do("start", self.take(data, confirmed=confirmed))

    def run(self, import_id: int) -> ImportRun:
        with self.database.reading() as session:
            return session.get_one(ImportRun, import_id)

    def people(self) -> dict[str, str]:
        """Everyone on the list, and their state."""
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

    def counters(self) -> dict[str, int]:
        """The counters of the list, and not what they should be."""
        with self.database.reading() as session:
            found = session.get_one(MailingList, self.list_id)
            return {
                name: count
                for name in ("pending", "confirmed", "unsubscribed")
                if (count := getattr(found, f"{name}_count"))
            }


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    with database.transaction() as session:
        list_id = a_list(session).id
    return Desk(database, tmp_path / "imports", list_id)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def cut(size: int) -> None:
        monkeypatch.setattr(runner, "SQLITE_BATCH_ROWS", size)
        monkeypatch.setattr(runner, "POSTGRESQL_BATCH_ROWS", size)

    return cut
