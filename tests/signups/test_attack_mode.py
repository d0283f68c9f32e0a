from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.mail.transactional import TransactionalEmail
from nif.signups import attack_mode
from nif.signups.models import SignupCount
from nif.signups.requests import watch_for_attack
from tests.conftest import NOON
from tests.factories import an_account

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def add_signups(session, received, *, held=0, at=NOON):
    """Record sign-ups in the five minutes from `at` on."""
    session.add(SignupCount(slot=at, received=received, held=held))
    session.flush()


def is_on(session, now):
    return attack_mode.find_active_attack_mode(session, now=now) is not None


@pytest.mark.parametrize(
    ("received", "held", "on"), [(100, 0, False), (101, 0, True), (60, 50, False), (60, 51, True)]
)
def test_attack_mode_switches_on_when_unusually_many_sign_ups_come(session, received, held, on):
    add_signups(session, received, held=held)

    assert bool(attack_mode.update_attack_mode(session, now=NOON + 4 * MINUTE)) is on
    assert is_on(session, NOON + 4 * MINUTE) is on


def test_attack_mode_stays_off_at_the_usual_rate_of_the_site(session):
    for hours in range(24 * 7):
        add_signups(session, 120, at=NOON - HOUR - hours * HOUR)
    add_signups(session, 150)

    assert not attack_mode.update_attack_mode(session, now=NOON + MINUTE)
    add_signups(session, 200, at=NOON + 5 * MINUTE)
    assert attack_mode.update_attack_mode(session, now=NOON + 6 * MINUTE)


def test_attack_mode_switches_off_after_half_an_hour_of_few_sign_ups(session):
    add_signups(session, 500)
    attack_mode.update_attack_mode(session, now=NOON + MINUTE)
    add_signups(session, 60, at=NOON + 10 * MINUTE)

    on = []
    for minutes in (2, 29, 30, 34, 37):
        now = NOON + minutes * MINUTE
        assert not attack_mode.update_attack_mode(session, now=now), "it is reported once"
        on.append(is_on(session, now))
    assert on == [True, True, True, False, False]


def test_attack_mode_stays_on_while_many_sign_ups_come(session):
    for minutes in range(0, 120, 5):
        add_signups(session, 100, held=90, at=NOON + minutes * MINUTE)
    attack_mode.update_attack_mode(session, now=NOON + MINUTE * 10)

    attack_mode.update_attack_mode(session, now=NOON + 119 * MINUTE)

    assert is_on(session, NOON + 119 * MINUTE)


def test_a_person_switches_attack_mode_on_or_off_for_a_time(session):
    attack_mode.enable_attack_mode(session, until=NOON + HOUR, who="Ada", now=NOON)
    assert attack_mode.find_active_attack_mode(session, now=NOON).reason == "Ada switched it on."
    assert not attack_mode.update_attack_mode(session, now=NOON + 59 * MINUTE)
    assert is_on(session, NOON + 59 * MINUTE)
    assert not is_on(session, NOON + HOUR)

    add_signups(session, 500)
    attack_mode.disable_attack_mode(session, until=NOON + HOUR)
    assert not attack_mode.update_attack_mode(session, now=NOON + MINUTE)
    attack_mode.automate_attack_mode(session)
    assert attack_mode.update_attack_mode(session, now=NOON + MINUTE)


def test_admins_are_mailed_once_about_attack_mode(session, services):
    for email, role in (("a@example.com", RoleName.ADMIN), ("e@example.com", RoleName.EDITOR)):
        an_account(session, role, email=email).password = "a hash"
    an_account(session, RoleName.ADMIN, email="new@example.com").password = None
    add_signups(session, 500)

    reports = [
        watch_for_attack(session, services.mail_writer, now=NOON + n * MINUTE) for n in (1, 2, 3)
    ]

    assert reports == [True, False, False]
    (mail,) = session.scalars(select(TransactionalEmail))
    assert mail.address == "a@example.com"
    assert "500 sign-ups came in within ten minutes" in mail.message["text"]
    assert "/admin/sign-ups" in mail.message["text"]


def test_sign_ups_are_counted_by_five_minutes_and_counts_deleted_after_eight_days(session):
    for seconds in (0, 299, 300):
        attack_mode.count_signup(session, held=seconds == 0, now=NOON + timedelta(seconds=seconds))

    found = session.execute(select(SignupCount.slot, SignupCount.received, SignupCount.held)).all()
    assert sorted(map(tuple, found)) == [(NOON, 2, 1), (NOON + 5 * MINUTE, 1, 0)]
    attack_mode.delete_old_signup_counts(session, now=NOON + timedelta(days=8, minutes=1))
    assert session.scalars(select(SignupCount.slot)).all() == [NOON + 5 * MINUTE]
