"""The ledger's entries about stories outlive new fields, and name no story by its words."""

from functools import partial

import orjson
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.ledger.chain import LedgerVerdict, delete_entry_payload
from nif.ledger.models import LedgerEntry
from nif.ledger.payloads import PayloadForms
from nif.ledger.queries import encode_export_line, load_ledger_slice, verify_export, verify_ledger
from nif.stories import publishing
from nif.stories.models import Revision, Story
from nif.stories.publishing import list_live_revisions
from tests.factories import a_story


def add_form_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version of NIF would, whose payloads hold one field more."""
    form_1 = publishing._build_form_1
    forms = PayloadForms[Revision](
        {1: form_1, 2: lambda revision: {**form_1(revision), "words": revision.word_count}}
    )
    monkeypatch.setattr(publishing, "REVISION_FORMS", forms)


def verify(session: Session) -> LedgerVerdict:
    return verify_ledger(session, partial(list_live_revisions, session))


def export_of(session: Session) -> list[bytes]:
    return [encode_export_line(line) for line in load_ledger_slice(session, after=0).in_order()]


def test_an_older_entry_still_verifies_after_payloads_gained_a_field(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_story(session, headline="Palisade Sells")
    add_form_2(monkeypatch)
    a_story(session, headline="Palisade Buys")

    payloads = session.scalars(select(LedgerEntry.payload).order_by(LedgerEntry.seq)).all()
    assert [(each["form"], "words" in each) for each in payloads] == [(1, False), (2, True)]
    assert (verify(session).is_whole, verify(session).compared) == (True, 2)


@pytest.mark.parametrize("changed", [1, 2])
def test_a_changed_record_is_found_in_an_entry_of_either_form(
    session: Session, monkeypatch: pytest.MonkeyPatch, changed: int
) -> None:
    revisions = [a_story(session, headline="Palisade Sells")]
    add_form_2(monkeypatch)
    revisions.append(a_story(session, headline="Palisade Buys"))
    session.execute(
        update(Revision)
        .where(Revision.id == revisions[changed - 1].id)
        .values(headline="Nothing Happened")
    )
    session.expire_all()

    verdict = verify(session)

    assert (verdict.broken, verdict.reason) == (
        changed,
        "the record that it describes has been changed since.",
    )


def test_a_change_of_a_field_that_only_the_newer_form_has_is_found_in_newer_entries_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_story(session, headline="Palisade Sells")
    add_form_2(monkeypatch)
    a_story(session, headline="Palisade Buys")
    session.execute(update(Revision).values(word_count=7))
    session.expire_all()

    assert verify(session).broken == 2


def test_an_entry_of_a_form_that_is_not_known_is_named_without_blaming_the_record(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        add_form_2(later)
        a_story(session)

    verdict = verify(session)

    assert verdict.broken == 1
    assert "a form that this version of NIF does not know" in str(verdict.reason)


def test_a_destroyed_payload_leaves_the_chain_whole_and_no_word_of_the_story(
    session: Session,
) -> None:
    revision = a_story(session, headline="Palisade Sells")
    a_story(session, headline="Lumen Buys")
    ledger_id = session.get_one(Story, revision.story_id).ledger_id

    delete_entry_payload(session, 1)

    verdict, export = verify(session), export_of(session)
    assert (verdict.is_whole, verdict.entries) == (True, 2)
    assert (verdict.deleted, verdict.compared) == (1, 1)
    outside = verify_export(export, {})
    assert (outside.is_whole, outside.entries, outside.deleted) == (True, 2, 1)
    assert b"palisade" not in export[0].lower()
    assert orjson.loads(export[0])["story"] == ledger_id


def test_the_id_in_the_ledger_is_random_and_says_nothing_about_the_story(session: Session) -> None:
    stories = [
        session.get_one(Story, a_story(session, headline=headline).story_id)
        for headline in ("Palisade Sells", "Palisade Buys")
    ]

    ids = [story.ledger_id for story in stories]

    assert ids == list(session.scalars(select(LedgerEntry.story).order_by(LedgerEntry.seq)))
    assert len(set(ids)) == 2
    assert all(len(each) == 16 and set(each) <= set("0123456789abcdef") for each in ids)
