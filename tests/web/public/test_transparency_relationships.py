"""The public register of relationships."""

from datetime import date

from flask.testing import FlaskClient

from nif.clock import utc_now
from nif.database import Database
from nif.register.disclosure_decisions import confirm_waiver, request_waiver
from nif.register.models import OurSide, RelationshipType
from tests.factories import a_draft, a_story, an_account
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import text_of

PRODUCT = {"our_side": OurSide.PRODUCT, "our_side_name": "ROSTR"}
REASON = "The story only lists it among <forty> others."


def fill(database: Database) -> None:
    with database.transaction() as session:
        ann, bob = (an_account(session, email=f"{who}@example.com").id for who in ("ann", "bob"))
        party = a_party(session, "<b>Rival</b>")
        rival = a_relationship(session, party, RelationshipType.COMPETITOR, **PRODUCT)
        a_relationship(
            session, a_party(session, "Secret Client"), RelationshipType.CUSTOMER, **PRODUCT
        )
        a_relationship(session, a_party(session, "Long Ago"), until=date(2021, 1, 1))
        a_relationship(session, a_party(session, "The Owner"), RelationshipType.OWNER, since=None)
        for story_id in (a_story(session).story_id, a_draft(session).id):
            decision = request_waiver(session, story_id, rival, REASON, by=ann, now=utc_now())
            confirm_waiver(session, decision, by=bob, now=utc_now())


def test_an_empty_register_says_so(client: FlaskClient) -> None:
    page = text_of(client.get("/relationships").text)

    assert "There are none today." in page
    assert "No relationship has been waived so far." in page
    assert 'href="/relationships"' in client.get("/newsletters/").text


def test_readers_see_public_relationships_and_the_number_of_withheld_ones(
    client: FlaskClient, database: Database
) -> None:
    fill(database)

    html = client.get("/relationships").text
    page = text_of(html)

    assert page.index("NIF The Owner owns NIF.") < page.index(
        "ROSTR <b>Rival</b>".replace("<", "&lt;")
    )
    assert "&lt;b&gt;Rival&lt;/b&gt; competes with ROSTR, which our parent company owns." in html
    assert "since 1 January 2020" in page
    assert "<b>Rival" not in html
    assert "Secret Client" not in html
    assert "Long Ago" not in html
    assert "1 further relationship is disclosed only under stories that name the party" in page
    assert "&lt;forty&gt;" in html
    # The waiver of the draft is no reader's matter yet.
    assert "commercial (competitor): 1 time" in page


def test_the_register_is_available_as_json(client: FlaskClient, database: Database) -> None:
    fill(database)

    answer = client.get("/relationships.json")

    assert answer.mimetype == "application/json"
    data = answer.get_json()
    assert data["withheld"] == 1
    assert [side["our_side"]["name"] for side in data["relationships"]] == ["NIF", "ROSTR"]
    assert data["relationships"][1]["with"] == [
        {
            "party": {"name": "<b>Rival</b>", "kind": "company"},
            "type": "competitor",
            "since": "2020-01-01",
            "until": None,
            "sentence": "<b>Rival</b> competes with ROSTR, which our parent company owns.",
        }
    ]
    month = f"{utc_now():%Y-%m}"
    assert data["waivers"] == [{"month": month, "type": "competitor", "reason": REASON, "count": 1}]
    assert "Secret Client" not in answer.text


def test_readers_get_no_cookie(client: FlaskClient) -> None:
    for address in ("/relationships", "/relationships.json"):
        assert "Set-Cookie" not in client.get(address).headers
