"""The forms that make NIF mail an address: the same answers for everyone, also during an attack."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest
from altcha import Challenge, Payload, solve_challenge
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from nif.clock import utc_now
from nif.database import Database
from nif.services import Services
from nif.signups import attack_mode
from nif.signups.models import HoldReason, Signup
from nif.subscriptions.models import SubscriptionState, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import a_list, a_subscription
from tests.web.public.forms import queued_emails, subscribe, ticket

FOUR = ("new", "pending", "known", "bounced")
FORMS = ("/subscribe", "/preferences")


@pytest.fixture(autouse=True)
def _four(database: Database) -> None:
    with database.transaction() as session:
        daily = a_list(session)
        a_subscription(session, daily, "pending@example.com", SubscriptionState.PENDING)
        a_subscription(session, daily, "known@example.com")
        suppress_address(
            session, "bounced@example.com", SuppressionReason.BOUNCED, source="", now=NOON
        )


@pytest.fixture
def attack(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack_mode, "COST", 20)
    with database.transaction() as session:
        now = utc_now()
        attack_mode.enable_attack_mode(session, until=now + timedelta(hours=1), who="Ada", now=now)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    said: list[str] = []

    def hear(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)


def send(client: FlaskClient, services: Services, path: str, who: str, **more: str) -> TestResponse:
    form = {"email": f"{who}@example.com", "ticket": ticket(services), **more}
    return client.post(path, data=form)


def seen(answer: TestResponse) -> tuple[object, ...]:
    """All that a stranger sees of an answer, but for the time and the request's name."""
    headers = [one for one in answer.headers if one[0] not in {"Date", "X-Request-Id"}]
    return answer.status_code, headers, answer.data


def held(session: Session) -> list[HoldReason | None]:
    found = list(session.scalars(select(Signup.hold_reason).order_by(Signup.id)))
    session.rollback()
    return found


@pytest.mark.parametrize("path", FORMS)
def test_all_four_answers_are_identical_and_take_the_same_work(
    client: FlaskClient, services: Services, database: Database, path: str
) -> None:
    send(client, services, path, "first")
    answers, work = [], []
    for who in FOUR:
        with statements(database) as said:
            answer = send(client, services, path, who)
        answers.append((seen(answer), seen(client.get(answer.location))))
        work.append(said)

    assert answers[0][0][0] == 303
    assert answers == answers[:1] * 4
    assert work == work[:1] * 4
    assert not any(" subscriber" in one or " suppression" in one for one in work[0])


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("field", "why"), [("website", HoldReason.HONEYPOT), ("ticket", HoldReason.TOO_FAST)]
)
def test_a_suspicious_sign_up_gets_the_same_page_and_is_held(
    client: FlaskClient,
    services: Services,
    session: Session,
    path: str,
    field: str,
    why: HoldReason,
) -> None:
    like = send(client, services, path, "ann")
    caught = {"website": "https://example.com", "ticket": ticket(services, age=0)}[field]

    answer = send(client, services, path, "bot", **{field: caught})

    assert seen(answer) == seen(like)
    assert held(session) == [None, why]


def proof_of(page: str) -> dict[str, str]:
    """What a browser would send of a page that asks for proof, but for the address."""
    found = re.search(r'challenge="([^"]+)"', page)
    given = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found is not None
    assert given is not None
    challenge = Challenge.from_dict(json.loads(unescape(found[1])))
    solution = solve_challenge(challenge)
    assert solution is not None
    proof = Payload(challenge, solution).to_base64()
    return {"challenged": "1", "ticket": given[1], "altcha": proof}


@pytest.mark.parametrize("path", FORMS)
def test_during_an_attack_a_proof_is_accepted_once(
    client: FlaskClient,
    services: Services,
    session: Session,
    attack: None,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nif.web.public.signup_guard.MIN_FORM_SECONDS", 0)
    given = proof_of(client.get(path).text)

    answers = [send(client, services, path, who, **given) for who in ("ann", "bob")]
    answers.append(send(client, services, path, "cy", challenged="1"))
    answers += [send(client, services, path, "di", challenged="1", altcha="x")]

    assert [seen(one) for one in answers] == [seen(answers[0])] * 4
    assert held(session) == [None, HoldReason.NO_PROOF, HoldReason.NO_PROOF, HoldReason.NO_PROOF]


@pytest.mark.parametrize("path", FORMS)
def test_during_an_attack_a_form_without_a_challenge_is_shown_again(
    client: FlaskClient, services: Services, session: Session, attack: None, path: str
) -> None:
    answer = send(client, services, path, "ann")

    assert answer.status_code == 200
    assert 'value="ann@example.com"' in answer.text
    assert "Unusually many sign-ups" in answer.text
    assert held(session) == []
    assert seen(send(client, services, path, "ann", **proof_of(answer.text)))[0] == 303
    assert held(session) == [None], "who presses again at once is not too quick"


def test_a_challenge_writes_nothing_and_is_absent_without_an_attack(
    client: FlaskClient, database: Database
) -> None:
    assert "altcha" not in client.get("/subscribe").text
    with statements(database) as said:
        assert "altcha" not in client.get("/").text
    assert not any(one.startswith(("INSERT", "UPDATE", "DELETE")) for one in said)


def test_the_proof_of_work_widget_is_served_by_this_site_and_may_run_its_worker(
    client: FlaskClient, attack: None
) -> None:
    answer = client.get("/subscribe")

    assert "worker-src 'self'" in answer.headers["Content-Security-Policy"]
    addresses = re.findall(r'src="([^"]+)"', answer.text)
    names = ("altcha-3.2.2.js", "altcha-3.2.2-pbkdf2.js", "altcha-3.2.2.LICENSE.txt")
    for address in (*addresses, *(f"/static/vendor/{name}" for name in names)):
        with client.get(address) as file:
            assert file.status_code == 200


def test_reporting_a_sign_up_asks_first_and_acts_on_the_button(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    found = re.search(r"(/report-signup/\S+)", queued_emails(session)[0].message["text"])
    assert found is not None

    assert "It was not you?" in client.get(found[1]).text
    assert "Confirm" in client.get(confirmation_link(session)).text
    assert "Sorry for the trouble" in client.post(found[1]).text
    assert client.get(confirmation_link(session)).status_code == 410
    assert client.get("/report-signup/" + "A" * 40).status_code == 404


def test_the_old_address_of_reporting_a_sign_up_redirects_and_keeps_the_method(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    found = re.search(r"/report-signup/(\S+)", queued_emails(session)[0].message["text"])
    assert found is not None
    old = f"/not-me/{found[1]}"

    asked = client.get(old)

    assert (asked.status_code, asked.location) == (308, f"/report-signup/{found[1]}")
    assert "Sorry for the trouble" in client.post(old, follow_redirects=True).text


def confirmation_link(session: Session) -> str:
    found = re.search(r"(/confirm/\S+)", queued_emails(session)[0].message["text"])
    assert found is not None
    return found[1]
