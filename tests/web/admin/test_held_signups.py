"""Held sign-ups and the attack mode on the admin pages."""

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.signups import attack_mode, held
from nif.signups.models import HoldReason, Signup
from nif.signups.requests import queue_signup
from tests.factories import a_list
from tests.signups.test_requests import make_request


def hold(database: Database, *names: str, reason: HoldReason = HoldReason.HONEYPOT) -> list[int]:
    with database.transaction() as session:
        for name in names:
            queue_signup(
                session, make_request(f"{name}@example.com", hold_reason=reason), now=utc_now()
            )
        return list(session.scalars(select(Signup.id).order_by(Signup.id)))


def signup_actions(database: Database) -> list[tuple[str, str, object]]:
    with database.reading() as session:
        found = session.scalars(
            select(AuditEntry).where(AuditEntry.subject_kind == "sign-ups").order_by(AuditEntry.id)
        )
        return [(entry.action, entry.subject_id, entry.detail) for entry in found]


def hold_reasons(database: Database) -> list[HoldReason | None]:
    with database.reading() as session:
        return list(session.scalars(select(Signup.hold_reason).order_by(Signup.id)))


def test_without_held_signups_the_page_says_so(admin: FlaskClient) -> None:
    page = admin.get("/admin/sign-ups").text

    assert "No sign-ups are held" in page
    assert "Forms do not require it" in page


def test_held_signups_are_shown_by_reason_and_in_pages(
    admin: FlaskClient, database: Database, monkeypatch
) -> None:
    monkeypatch.setattr(held, "HELD_PAGE_SIZE", 2)
    with database.transaction() as session:
        a_list(session)
    hold(database, "ann", "bob", "cy")
    hold(database, "di", reason=HoldReason.NO_PROOF)

    page = admin.get("/admin/sign-ups").text
    assert all(
        text in page for text in ("Honeypot", "Without proof of work", "NIF Daily", "192.0.2.0/24")
    )
    assert "cy@example.com" in page
    assert "ann@example.com" not in page
    earlier = admin.get("/admin/sign-ups?reason=honeypot&after=2").text
    assert "ann@example.com" in earlier
    assert "di@example.com" in admin.get("/admin/sign-ups?reason=no_proof").text
    assert admin.get("/admin/sign-ups?reason=nonsense&after=-1").status_code == 404


def test_selected_signups_are_released_and_the_rest_discarded(
    admin: FlaskClient, database: Database
) -> None:
    ann, bob, *_ = hold(database, "ann", "bob", "cy")

    form = {"reason": "honeypot", "id": [str(ann), str(bob)]}
    page = admin.post("/admin/sign-ups/release", data=form, follow_redirects=True).text
    assert "2 sign-ups are released" in page
    assert hold_reasons(database) == [None, None, HoldReason.HONEYPOT]
    admin.post("/admin/sign-ups/discard", data={"reason": "honeypot", "all": "1"})

    assert hold_reasons(database) == [None, None]
    assert signup_actions(database) == [
        ("held_signups_released", "honeypot", {"count": 2}),
        ("held_signups_discarded", "honeypot", {"count": 1}),
    ]
    assert admin.post("/admin/sign-ups/release", data={"reason": "x"}).status_code == 422


def test_the_attack_mode_is_set_manually_and_shown_on_every_page(
    admin: FlaskClient, database: Database
) -> None:
    banner = "Sign-up forms require proof of work"
    assert banner not in admin.get("/admin/").text

    admin.post("/admin/sign-ups/attack-mode", data={"mode": "on", "hours": "6"})
    assert all(banner in admin.get(path).text for path in ("/admin/", "/admin/audit-log"))
    assert "switched it on. Until" in admin.get("/admin/sign-ups").text
    admin.post("/admin/sign-ups/attack-mode", data={"mode": "off", "hours": "1"})
    assert "whatever happens, until" in admin.get("/admin/sign-ups").text
    admin.post("/admin/sign-ups/attack-mode", data={"mode": "auto", "hours": "1"})

    assert banner not in admin.get("/admin/sign-ups").text
    assert admin.post("/admin/sign-ups/attack-mode", data={"mode": "on"}).status_code == 422
    assert [detail["mode"] for _, _, detail in signup_actions(database)] == ["on", "off", "auto"]
    with database.reading() as session:
        assert attack_mode.find_active_attack_mode(session, now=utc_now()) is None
