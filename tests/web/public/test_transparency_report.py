"""The transparency report is the same as a page and as JSON, and leaves out what is unknown."""

from flask.testing import FlaskClient

from nif.cli.ledger import record_policies
from nif.database import Database
from nif.jobs.worker import Worker
from nif.services import Services
from nif.stories.models import CheckOverride
from tests.conftest import NOON
from tests.factories import a_draft, a_story
from tests.register.entries import a_party, a_relationship
from tests.web.newsroom.staff import text_of


def test_a_newsroom_without_stories_has_a_report(client: FlaskClient) -> None:
    page, data = client.get("/transparency"), client.get("/transparency.json").json

    assert page.status_code == 200
    assert "Nothing is published yet" in page.text
    assert data["counts"]["stories"] == 0
    assert data["corrections"]["median_hours_publish_to_fix"] is None
    assert data["corrections"]["per_100_stories"] is None
    assert data["ledger"]["root"] is None


def test_the_report_is_linked_and_counts_what_is_public(
    client: FlaskClient, database: Database, services: Services
) -> None:
    record_policies(services)
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Lumen Sync"))
        story = a_story(session)
        why = "It is <i>news</i>, from anybody who suggests it."
        made = CheckOverride(
            story_id=story.story_id, code="G11", reason=why, by="Sam Okafor", at=NOON
        )
        session.add(made)
        a_draft(session)
    Worker(services).run("sign_checkpoint")

    page, data = client.get("/transparency").text, client.get("/transparency.json").json

    assert 'href="/transparency"' in client.get("/").text
    words = text_of(page)
    assert "we have published 1 story ." in words
    assert "The register lists 1 relationship." in words
    assert "It is &lt;i&gt;news&lt;/i&gt;, from anybody who suggests it." in page
    assert "Sam Okafor" not in page
    assert "Seen in what others publish 1" in words
    assert "<style" not in page
    assert "style=" not in page
    assert data["ledger"]["root"] in page
    assert data["ledger"]["signed_size"] == data["ledger"]["size"] == 11
    assert data["counts"]["by_origin"] == {"monitoring": 1}
    assert data["gates_overridden"]["by_gate"] == {"G11": 1}
    assert data["relationships"]["listed"] == 1
    assert data["publisher"]["url"].endswith("/")


def test_an_unchanged_report_is_answered_with_304(client: FlaskClient) -> None:
    first = client.get("/transparency.json?x=1")
    tag = {"If-None-Match": first.headers["ETag"]}

    again = client.get("/transparency.json", headers=tag)

    # A minute may have passed between the two.
    assert again.status_code == 304 or again.json["generated_at"] != first.json["generated_at"]
