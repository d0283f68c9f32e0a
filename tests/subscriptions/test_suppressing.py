from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nif.subscriptions.models import Suppression, SuppressionReason
from nif.subscriptions.suppressing import is_suppressed, suppress
from tests.conftest import NOON

ANN = "ann@example.com"
LATER = NOON + timedelta(days=1)
Reason = SuppressionReason


def test_an_address_is_suppressed_with_its_reason_source_and_moment(session):
    suppress(session, ANN, Reason.BOUNCED, source="event bounce", now=NOON)

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (Reason.BOUNCED, "event bounce", NOON)


def test_others_are_mailed_on(session):
    suppress(session, "bob@example.com", Reason.BOUNCED, source="noise", now=NOON)
    suppress(session, "ann@example.org", Reason.COMPLAINED, source="noise", now=NOON)

    assert not is_suppressed(session, ANN)
    assert is_suppressed(session, "bob@example.com")


@pytest.mark.parametrize("graver", [Reason.BOUNCED, Reason.COMPLAINED])
def test_a_graver_reason_replaces_a_readers_own_wish(session, graver):
    suppress(session, ANN, Reason.UNSUBSCRIBED, source="first", now=NOON)
    suppress(session, "bob@example.com", Reason.UNSUBSCRIBED, source="noise", now=NOON)

    suppress(session, ANN, graver, source="second", now=LATER)
    session.expire_all()

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (graver, "second", LATER)
    assert session.get_one(Suppression, "bob@example.com").source == "noise"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Reason.BOUNCED, Reason.UNSUBSCRIBED),
        (Reason.COMPLAINED, Reason.UNSUBSCRIBED),
        (Reason.COMPLAINED, Reason.BOUNCED),
        (Reason.BOUNCED, Reason.INVALID),
        (Reason.MANUAL, Reason.UNSUBSCRIBED),
        (Reason.INVALID, Reason.UNSUBSCRIBED),
        (Reason.BOUNCED, Reason.BOUNCED),
    ],
)
def test_otherwise_the_first_reason_stays(session, first, second):
    suppress(session, ANN, first, source="first", now=NOON)
    suppress(session, ANN, second, source="second", now=LATER)
    session.expire_all()

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (first, "first", NOON)
    assert session.scalar(select(func.count()).select_from(Suppression)) == 1
