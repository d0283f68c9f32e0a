"""nif edition …, nif events … and nif suppressions pull."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from nif.sends.models import ProviderEventPost, Send
from tests.cli.conftest import Run
from tests.factories import a_list, a_plain_edition, a_story, subscriptions


@pytest.fixture
def edition_id(database: Database) -> str:
    """A frozen edition of yesterday that has no send."""
    with database.transaction() as session:
        mailing_list = a_list(session)
        subscriptions(session, mailing_list, 2)
        yesterday = utc_now() - timedelta(days=1)
        return str(a_plain_edition(session, mailing_list, now=yesterday).id)


def test_a_list_gets_its_edition_now_and_once_a_day(
    run: Run, database: Database, edition_id: str
) -> None:
    assert run("edition", "send", "--list", "daily").error == (
        "nif: There is nothing new to send.\n"
    )
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(hours=1))

    result = run("edition", "send", "--list", "daily", "--json").data
    again = run("edition", "send", "--list", "daily")

    assert (result["send"], result["audience"]) == (1, 2)
    assert again.error == "nif: This list already has an edition today.\n"


def test_a_frozen_edition_is_sent_at_a_time_and_once(
    run: Run, database: Database, edition_id: str
) -> None:
    at = "2099-01-01T08:00:00Z"

    assert run("edition", "send", edition_id, "--at", at).status == 0
    again = run("edition", "send", edition_id)

    assert again.error == "nif: This edition has a send already. Nothing more was sent.\n"
    with database.reading() as session:
        send = session.scalars(select(Send)).one()
    assert send.starts_at == datetime(2099, 1, 1, 8, tzinfo=UTC)
    assert send.not_after == datetime(2099, 1, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("arguments", [(), ("1", "--list", "daily")])
def test_either_an_edition_or_a_list_is_given_and_not_both(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("edition", "send", *arguments).status == 2


def test_a_test_copy_is_one_mail_whose_links_change_nothing(
    run: Run, database: Database, edition_id: str
) -> None:
    result = run("edition", "test", edition_id, "--to", "me@example.com", "--json").data

    with database.reading() as session:
        email = session.scalars(select(TransactionalEmail)).one()
        assert session.scalars(select(Send)).all() == []
    assert result["subject"] == "[Test] News"
    assert email.address == "me@example.com"
    assert email.message is not None
    assert "%nif." not in email.message["text"] + email.message["html"]
    assert run("edition", "test", "99", "--to", "me@example.com").status == 1
    assert run("edition", "test", edition_id, "--to", "nobody").status == 1


def test_draining_events_processes_new_posts_and_retries_failed_ones(
    run: Run, database: Database
) -> None:
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]", error="DataError"))
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]"))

    result = run("events", "drain", "--json").data

    assert result == {"posts": 2, "processed": 2, "failed": 0}


def test_pulling_suppressions_reports_how_many_entries_were_read(run: Run) -> None:
    assert run("suppressions", "pull", "--json").data == {"entries_read": 0}


def test_a_cancelled_digest_is_made_again_and_the_audit_log_says_so(
    run: Run, database: Database
) -> None:
    with database.transaction() as session:
        subscriptions(session, a_list(session), 2)
        a_story(session, at=utc_now() - timedelta(hours=1))
    first = run("edition", "send", "--list", "daily", "--json").data
    refused = run("edition", "again", str(first["edition"]))
    run("send", "cancel", str(first["send"]), "--yes")

    again = run("edition", "again", str(first["edition"]), "--json").data

    assert "can be made again" in refused.error
    assert (again["send"], again["audience"]) == (2, 2)
    with database.reading() as session:
        (entry,) = session.scalars(select(AuditEntry)).all()
        assert (entry.action, entry.subject_id) == ("digest_made_again", "2")
