"""What is held, and the attack mode, as admins see them."""

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.signups import attack_mode, held
from nif.signups.models import HoldReason, Signup
from nif.signups.requests import queue_signup
from tests.factories import a_list
from tests.signups.test_requests import wish


def hold(database: Database, *names: str, why: HoldReason = HoldReason.HONEYPOT) -> list[int]:
    with database.transaction() as session:
        for name in names:
            queue_signup(session, wish(f"{name}@example.com", hold_reason=why), now=utc_now())
        return list(session.scalars(select(Signup.id).order_by(Signup.id)))


def acts(database: Database) -> list[tuple[str, str, object]]:
    with database.reading() as session:
        found = session.scalars(
            select(AuditEntry).where(AuditEntry.subject_kind == "sign-ups").order_by(AuditEntry.id)
        )
        return [(act.action, act.subject_id, act.detail) for act in found]


def whys(database: Database) -> list[HoldReason | None]:
    with database.reading() as session:
        return list(session.scalars(select(Signup.hold_reason).order_by(Signup.id)))


def test_nothing_held_says_so(admin: FlaskClient) -> None:
    page = admin.get("/admin/sign-ups").text

    assert "Nothing is held" in page
    assert "Forms do not ask for it" in page


def test_what_is_held_is_shown_by_reason_and_in_pages(
    admin: FlaskClient, database: Database, monkeypatch
) -> None:
    monkeypatch.setattr(held, "HELD_PAGE_SIZE", 2)
    with database.transaction() as session:
        a_list(session)
    hold(database, "ann", "bob", "cy")
    hold(database, "di", why=HoldReason.NO_PROOF)

    page = admin.get("/admin/sign-ups").text
    assert all(words in page for words in ("Trap", "Without proof", "NIF Daily", "192.0.2.0/24"))
    assert "cy@example.com" in page
    assert "ann@example.com" not in page
    earlier = admin.get("/admin/sign-ups?why=honeypot&before=2").text
    assert "ann@example.com" in earlier
    assert "di@example.com" in admin.get("/admin/sign-ups?why=no_proof").text
    assert admin.get("/admin/sign-ups?why=nonsense&before=-1").status_code == 404


def test_the_ticked_are_let_through_and_the_rest_thrown_away(
    admin: FlaskClient, database: Database
) -> None:
    ann, bob, *_ = hold(database, "ann", "bob", "cy")

    form = {"why": "honeypot", "id": [str(ann), str(bob)]}
    page = admin.post("/admin/sign-ups/release", data=form, follow_redirects=True).text
    assert "2 sign-ups are answered now" in page
    assert whys(database) == [None, None, HoldReason.HONEYPOT]
    admin.post("/admin/sign-ups/discard", data={"why": "honeypot", "all": "1"})

    assert whys(database) == [None, None]
    assert acts(database) == [
        ("held_signups_released", "honeypot", {"count": 2}),
        ("held_signups_discarded", "honeypot", {"count": 1}),
    ]
    assert admin.post("/admin/sign-ups/release", data={"why": "x"}).status_code == 422


def test_the_attack_mode_is_switched_by_hand_and_told_on_every_page(
    admin: FlaskClient, database: Database
) -> None:
    said = "Forms ask for proof of work"
    assert said not in admin.get("/admin/").text

    admin.post("/admin/sign-ups/attack-mode", data={"wish": "on", "hours": "6"})
    assert all(said in admin.get(path).text for path in ("/admin/", "/admin/audit-log"))
    assert "switched it on. Until" in admin.get("/admin/sign-ups").text
    admin.post("/admin/sign-ups/attack-mode", data={"wish": "off", "hours": "1"})
    assert "whatever comes, until" in admin.get("/admin/sign-ups").text
    admin.post("/admin/sign-ups/attack-mode", data={"wish": "auto", "hours": "1"})

    assert said not in admin.get("/admin/sign-ups").text
    assert admin.post("/admin/sign-ups/attack-mode", data={"wish": "on"}).status_code == 422
    assert [detail["wish"] for _, _, detail in acts(database)] == ["on", "off", "auto"]
    with database.reading() as session:
        assert attack_mode.find_active_attack_mode(session, now=utc_now()) is None
