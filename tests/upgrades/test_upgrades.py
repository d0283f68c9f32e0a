import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from nif import schema
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.database import Database
from nif.imports.models import ImportRun
from nif.ledger.queries import verify_ledger
from nif.mail.addresses import parse_address
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


def test_campaigns_whose_figures_are_final_are_not_counted_again(
    new_database: Callable[[str], Database],
) -> None:
    database, now = new_database("campaigns"), utc_now()
    command.upgrade(schema.alembic_config(database), "v0001")
    recorded = rows_of(FOLDER / "v0001.json.gz")
    [campaign] = recorded["repermission_campaign"]
    [edition] = [one for one in recorded["edition"] if one["id"] == campaign["edition_id"]]
    ages_and_states = ((181, "done"), (179, "done"), (400, "unsubscribing"), (400, "open"))
    recorded["repermission_campaign"] = []
    for number, (days, state) in enumerate(ages_and_states, start=1):
        its_edition = {"id": 9000 + number, "slot": f"2020-01-0{number}", "note_id": None}
        recorded["edition"].append(edition | its_edition)
        given = {"id": number, "edition_id": 9000 + number, "import_run_id": None, "state": state}
        at = (now - timedelta(days=days)).isoformat()
        recorded["repermission_campaign"].append(
            campaign | given | {"kind": "confirm", "created_at": at}
        )
    fill(database, recorded)

    schema.upgrade_schema(database)

    with database.reading() as session:
        is_due = RepermissionCampaign.due_at <= now
        due = session.scalars(
            sa.select(RepermissionCampaign.id).where(is_due).order_by(RepermissionCampaign.id)
        ).all()
        assert due == [2, 3]


def test_accounts_of_internationalised_domains_are_stored_as_the_rule_for_addresses_says(
    new_database: Callable[[str], Database],
) -> None:
    database = new_database("accounts")
    command.upgrade(schema.alembic_config(database), "v0001")
    recorded = rows_of(FOLDER / "v0001.json.gz")
    first = recorded["account"][0]
    written = (
        *("ann@b\u00fccher.com", "bo@xn--bcher-kva.com", "bo@b\u00fccher.com"),
        *("cy@stra\u00dfe.de", "d\u00e9@b\u00fccher.com", "eve@\u2603\u200d.com"),
    )
    for number, email in enumerate(written, start=9001):
        unique = {"fs_uniquifier": f"{number}", "fs_webauthn_user_handle": f"{number}"}
        recorded["account"].append(first | unique | {"id": number, "email": email})
    fill(database, recorded)

    schema.upgrade_schema(database)

    with database.reading() as session:
        query = sa.select(Account.email).where(Account.id > 9000).order_by(Account.id)
        stored = session.scalars(query).all()
    assert stored == [
        *(parse_address("ann@b\u00fccher.com").canonical, "bo@xn--bcher-kva.com", written[2]),
        *(parse_address("cy@stra\u00dfe.de").canonical, written[4], written[5]),
    ]
    assert stored[0] == "ann@xn--bcher-kva.com"


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
