"""Erasure: the address occurs nowhere any more, and past sends still add up."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select, text

from nif.database import Database
from nif.errors import Misconfigured, NotFound
from nif.mail.addresses import parse_address
from nif.privacy.data_map import DATA_MAP, Person, erase_person, export_person, person_at_address
from nif.sends.certificates import certify_send
from nif.sends.models import Delivery, DeliveryOutcome
from nif.services import Services
from nif.settings import Settings
from nif.subscriptions import lifecycle, preferences
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import (
    find_erased_addresses,
    is_erased_address,
    is_suppressed,
    suppress_address,
)
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_plain_send, a_subscription, confirmed_by_day
from tests.privacy.conftest import ANN, BEA
from tests.sends.helpers import claimed_batch, count_and_certify, planned_send

LATER = NOON + timedelta(days=40)
FOLDER = Path("no files are kept here")


def erase(database: Database, person: Person) -> None:
    with database.transaction() as session:
        erase_person(session, person, FOLDER, source="test", now=NOON)
    database.truncate_wal()


def dump(database: Database) -> str:
    """Every value of every table that there is, of the models or not, as text."""
    names = inspect(database.engine).get_table_names()
    with database.reading() as session:
        rows = [
            (name, tuple(_plain(value) for value in row))
            for name in names
            for row in session.execute(text(f'SELECT * FROM "{name}"'))
        ]
    return repr(rows).lower().replace("\\\\u0040", "@")


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


def files(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file()).lower()


def test_an_erased_address_occurs_in_no_table_and_no_file(
    database: Database, ann: Person, settings: Settings
) -> None:
    before, canonical = dump(database), ANN.lower()
    assert before.count(canonical) > 20
    on_disk = settings.database.startswith("sqlite")
    assert not on_disk or canonical.encode() in files(settings.instance_dir)

    erase(database, ann)

    assert dump(database).count(canonical) == 0
    assert files(settings.instance_dir).count(canonical.encode()) == 0
    assert dump(database).count(BEA) >= before.count(BEA) - before.count(canonical)
    assert not on_disk or BEA.encode() in files(settings.instance_dir)


def test_each_table_is_exported_before_erasure_and_empty_after_it(
    database: Database, ann: Person
) -> None:
    with database.reading() as session:
        before = export_person(session, ann, now=NOON)
    erase(database, ann)
    with database.reading() as session:
        after = export_person(session, person_at_address(session, parse_address(ANN)), now=NOON)

    assert {one for one, rows in before["tables"].items() if not rows} <= {"consent"}
    assert set(before["tables"]) == {one.table for one in DATA_MAP if one.exported is not None}
    assert (before["known"], after["known"], after["erased"]) == (True, False, True)


def test_certificates_and_counters_of_past_sends_still_add_up(
    database: Database, ann: Person, send_id: int
) -> None:
    before = certify_send(database, send_id, now=NOON)
    erase(database, ann)

    after = certify_send(database, send_id, now=NOON)
    assert (after.accepted, after.contradictions, after.deliveries_sha256) == (
        2,
        [],
        before.deliveries_sha256,
    )
    with database.reading() as session:
        kept = session.scalar(select(func.count()).select_from(Subscription))
        total = (
            MailingList.pending_count + MailingList.confirmed_count + MailingList.unsubscribed_count
        )
        assert session.scalar(select(func.sum(total))) == kept
        for one in session.scalars(select(MailingList)):
            assert confirmed_by_day(session, one) == one.confirmed_count


def test_a_person_erased_during_a_send_is_skipped_when_their_batch_is_claimed(
    database: Database,
) -> None:
    send_id = planned_send(database, ANN, BEA)
    with database.reading() as session:
        person = person_at_address(session, parse_address(ANN))
    erase(database, person)

    batch = claimed_batch(database, send_id)

    assert [address for _, address in batch.subscribers] == [BEA]
    assert (
        count_and_certify(database, send_id).skipped,
        count_and_certify(database, send_id).adds_up,
    ) == (1, True)


def test_no_form_import_or_report_adds_an_erased_person_again(
    database: Database, ann: Person
) -> None:
    erase(database, ann)

    with database.transaction() as session:
        daily = a_list(session)
        result = lifecycle.request_subscription(session, daily, parse_address(ANN), HERE, now=LATER)
        link = preferences.find_mailable_subscriber(session, parse_address(ANN))
        suppress_address(session, ANN.lower(), SuppressionReason.BOUNCED, source="event", now=LATER)
        assert (result.pending, result.already_subscribed, link) == (None, None, None)
        assert is_suppressed(session, ANN.lower())
        assert session.get(Suppression, ANN.lower()) is None
        assert not is_suppressed(session, "somebody@example.com")
    assert ANN.lower() not in dump(database)


def test_old_links_of_an_erased_person_get_a_polite_answer(
    database: Database, services: Services, ann: Person
) -> None:
    erase(database, ann)
    leave = lifecycle.unsubscribe_token(ann.id, 0, services.tokens)
    prefer = preferences.preferences_token(ann.id, services.tokens)
    with database.reading() as session:
        with pytest.raises(NotFound, match="will not mail you"):
            lifecycle.get_subscriptions_to_unsubscribe(session, leave, services.tokens)
        with pytest.raises(NotFound, match="will not mail you"):
            preferences.get_subscriber_by_token(session, prefer, services.tokens)


def test_the_id_of_an_erased_subscriber_is_never_used_again(database: Database) -> None:
    with database.transaction() as session:
        mailing_list = a_list(session)
        erased_id = a_subscription(session, mailing_list, ANN).subscriber_id
    with database.transaction() as session:
        erase_person(session, Person(ANN.lower(), erased_id), FOLDER, source="test", now=NOON)
    with database.transaction() as session:
        mailing_list = get_list(session, "daily")
        assert a_subscription(session, mailing_list, BEA).subscriber_id > erased_id
        assert session.get(Subscriber, erased_id) is None


def test_a_hash_outlives_a_change_of_the_secret_key(
    database: Database, ann: Person, settings: Settings
) -> None:
    erase(database, ann)
    old = settings.secret_key.get_secret_value()
    known = []
    for fallbacks in ((old,), ()):
        rotated = Database(settings.database, [b"another key", *map(str.encode, fallbacks)])
        with rotated.reading() as session:
            known.append(is_erased_address(session, ANN.lower()))
        rotated.close()

    assert known == [True, False]


def test_many_addresses_are_looked_up_at_once(database: Database, ann: Person) -> None:
    erase(database, ann)
    crowd = [f"reader{n}@example.com" for n in range(2000)]
    with database.reading() as session:
        assert find_erased_addresses(session, [*crowd, ANN.lower()]) == {ANN.lower()}
        assert find_erased_addresses(session, crowd) == set()
        assert find_erased_addresses(session, crowd[:3]) == set()


def test_without_a_secret_key_nobody_is_erased(settings: Settings) -> None:
    keyless = Database(settings.database)
    try:
        with pytest.raises(Misconfigured), keyless.transaction() as session:
            erase_person(session, Person(ANN.lower(), 0), FOLDER, source="test", now=NOON)
    finally:
        keyless.close()


def test_unknown_and_already_erased_people_can_be_erased(database: Database) -> None:
    for _ in range(2):
        erase(database, Person("nobody@example.com", 0))
    with database.reading() as session:
        assert is_erased_address(session, "nobody@example.com")
        erased = Suppression.reason == SuppressionReason.ERASED
        assert len(session.scalars(select(Suppression).where(erased)).all()) == 1


def test_a_paused_subscriber_has_a_delivery_with_that_outcome(database: Database) -> None:
    with database.transaction() as session:
        first = a_plain_send(session, ANN, BEA)
        reader = session.scalars(select(Subscriber).where(Subscriber.address == ANN)).one()
        reader.paused_until = NOON + timedelta(days=7)
        send_id = first.id
    batch = claimed_batch(database, send_id)
    certificate = certify_send(database, send_id, now=NOON)

    assert [address for _, address in batch.subscribers] == [BEA]
    assert (certificate.paused, certificate.unsubscribed, certificate.contradictions) == (1, 0, [])
    with database.reading() as session:
        outcomes = session.scalars(select(Delivery.outcome).order_by(Delivery.subscriber_id)).all()
    assert outcomes == [DeliveryOutcome.PAUSED, None]
