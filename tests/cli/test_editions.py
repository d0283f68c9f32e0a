"""Editions, and what the provider knows, from the command line."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

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

    told = run("edition", "send", "--list", "daily", "--json").told
    again = run("edition", "send", "--list", "daily")

    assert (told["send"], told["audience"]) == (1, 2)
    assert again.error == "nif: This list has had its edition today.\n"


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
def test_what_to_send_is_said_in_one_way(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("edition", "send", *arguments).status == 2


def test_a_test_is_one_letter_without_links_that_change_anything(
    run: Run, database: Database, edition_id: str
) -> None:
    told = run("edition", "test", edition_id, "--to", "me@example.com", "--json").told

    with database.reading() as session:
        letter = session.scalars(select(TransactionalEmail)).one()
        assert session.scalars(select(Send)).all() == []
    assert told["subject"] == "[Test] News"
    assert letter.address == "me@example.com"
    assert letter.message is not None
    assert "%nif." not in letter.message["text"] + letter.message["html"]
    assert run("edition", "test", "99", "--to", "me@example.com").status == 1
    assert run("edition", "test", edition_id, "--to", "nobody").status == 1


def test_the_tray_is_emptied_and_what_was_set_aside_is_tried_again(
    run: Run, database: Database
) -> None:
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]", error="DataError"))
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]"))

    told = run("events", "drain", "--json").told

    assert told == {"posts": 2, "processed": 2, "set_aside": 0}


def test_the_providers_lists_are_pulled(run: Run) -> None:
    assert run("suppressions", "pull", "--json").told == {"looked_at": 0}
