import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from nif import schema
from nif.clock import utc_now
from nif.database import Database
from nif.imports.models import ImportRun
from nif.ledger.verification import verify_ledger
from nif.mail.transactional import TransactionalEmail
from nif.media.models import Picture
from nif.sends.periodic_tasks import PeriodicTask
from nif.sends.repermission import RepermissionCampaign
from nif.settings import PROJECT
from nif.stories.publishing import list_live_revisions
from tests.upgrades.record import FOLDER
from tests.upgrades.rows import from_json

RECORDED = sorted(FOLDER.glob("*.json.gz"))
REVISIONS = sorted(path.name[:5] for path in (PROJECT / "migrations/versions").glob("v*.py"))
LASTING = ("story", "revision", "subscriber", "subscription", "consent", "suppression", "delivery")
"""Tables whose rows no upgrade may lose."""


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    recorded: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress(path.read_bytes()))
    return recorded


def fill(database: Database, recorded: dict[str, list[dict[str, Any]]]) -> None:
    """Put recorded rows into tables that the models of today need not describe."""
    aware = database.engine.dialect.name == "postgresql"
    with database.engine.begin() as connection:
        found = sa.MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            rows = [
                {
                    name: from_json(value, table.c[name].type, aware=aware)
                    for name, value in row.items()
                }
                for row in recorded.get(table.name, ())
            ]
            if rows:
                connection.execute(sa.insert(table), rows)


def counts(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return {
            name: session.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0
            for name in LASTING
        }


def test_every_schema_that_was_on_main_is_recorded() -> None:
    assert [path.name.partition(".")[0] for path in RECORDED] == REVISIONS


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.partition(".")[0])
def test_a_filled_database_is_upgraded_whole_and_its_ledger_verifies(
    path: Path, new_database: Callable[[str], Database]
) -> None:
    recorded = rows_of(path)
    database = new_database("upgraded")
    command.upgrade(schema.alembic_config(database), path.name.partition(".")[0])
    fill(database, recorded)

    schema.upgrade_schema(database)

    assert schema.is_schema_current(database)
    assert counts(database) == {name: len(recorded[name]) for name in LASTING}
    with database.snapshot() as session:
        verdict = verify_ledger(session, partial(list_live_revisions, session))
    assert (verdict.is_whole, verdict.reason) == (True, None)
    assert verdict.entries == len(recorded["ledger_entry"]) > 2


def test_work_that_an_old_worker_was_doing_is_due_at_once(
    new_database: Callable[[str], Database],
) -> None:
    database = new_database("working")
    command.upgrade(schema.alembic_config(database), "v0001")
    fill(database, rows_of(FOLDER / "v0001.json.gz"))
    with database.transaction() as session:
        for statement in (
            "UPDATE import_run SET state = 'running', lease_holder = 'a worker'",
            "UPDATE import_run SET lease_renewed_at = created_at",
            "UPDATE picture SET requested_set = ready_set + 1, claimed_at = updated_at",
            "UPDATE transactional_email SET next_try_at = queued_at",
        ):
            session.execute(sa.text(statement))

    schema.upgrade_schema(database)

    with database.reading() as session:
        for model in (ImportRun, Picture, TransactionalEmail, RepermissionCampaign, PeriodicTask):
            assert session.scalars(sa.select(model).where(model.due_at <= utc_now())).all(), model
        assert session.scalar(sa.select(sa.func.max(Picture.attempts))) is not None


def test_a_revision_that_was_changed_after_its_upgrade_is_found(
    new_database: Callable[[str], Database],
) -> None:
    """So that the test above can fail."""
    database = new_database("changed")
    schema.upgrade_schema(database)
    fill(database, rows_of(RECORDED[-1]))
    with database.transaction() as session:
        session.execute(sa.text("UPDATE revision SET headline = 'Another'"))

    with database.snapshot() as session:
        assert not verify_ledger(session, partial(list_live_revisions, session)).is_whole
