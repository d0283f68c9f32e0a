"""A story's JSON-LD and its transparency record."""

import hashlib
import json

import pytest
from flask.testing import FlaskClient

from nif.database import Database
from nif.stories.drafts import SourceInput
from nif.stories.models import SourceKind, StoryType
from tests.factories import a_draft, a_story, texts
from tests.web.public.channels import fetched, structured

BASE = "http://127.0.0.1:8000"
OWN = [SourceInput(SourceKind.OWN_REPORTING)]


@pytest.mark.parametrize(
    ("story_type", "given", "types"),
    [
        (StoryType.BRIEF, {}, "NewsArticle"),
        (StoryType.REPORT, {"sources": OWN}, ["NewsArticle", "ReportageNewsArticle"]),
        (StoryType.INTERVIEW, {}, "NewsArticle"),
        (StoryType.INTERVIEW, {"sources": OWN}, ["NewsArticle", "ReportageNewsArticle"]),
        (StoryType.ANALYSIS, {}, ["NewsArticle", "AnalysisNewsArticle"]),
        (StoryType.EXPLAINER, {}, ["NewsArticle", "BackgroundNewsArticle"]),
        (StoryType.OPINION, {}, ["NewsArticle", "OpinionNewsArticle"]),
    ],
)
def test_a_story_has_its_schema_type_and_only_original_reporting_is_reportage(
    client: FlaskClient, database: Database, story_type: StoryType, given: dict, types: object
) -> None:
    with database.transaction() as session:
        slug = a_story(session, story_type=story_type, **given).slug

    assert structured(fetched(client, f"/articles/{slug}"))["@type"] == types


def test_the_record_contains_what_its_revision_froze(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        story = a_story(session, reason_subject="Anna's sales")
    answer = client.get(f"/articles/{story.slug}/transparency.json")
    record = answer.json

    assert answer.headers["Content-Type"] == "application/json"
    assert record["story"] == f"{BASE}/articles/{story.slug}"
    assert (record["revision"], record["content_hash"]) == (1, story.content_hash)
    assert record["sources"] == story.sources
    assert record["reason"] == "We covered it because it's news regarding Anna's sales."
    assert texts(record["sentences"]) == texts(story.block)
    assert record["sentences"][0]["links"] == [
        {"text": "The Turntable Gazette", "url": "https://example.com/sale"}
    ]


def test_the_record_is_linked_from_its_page_with_its_hash(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        slug = a_story(session).slug
    page = fetched(client, f"/articles/{slug}")
    encoding = structured(page)["backstory"]["encoding"]
    body = client.get(encoding["contentUrl"].removeprefix(BASE)).data

    assert (
        f'type="application/json" title="The record behind the transparency block" href="{BASE}'
        in page
    )
    assert encoding["sha256"] == hashlib.sha256(body).hexdigest()
    assert json.loads(body)["version"] == "1.0"


def test_a_draft_has_no_record_yet(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        slug = a_draft(session).slug

    assert client.get(f"/articles/{slug}/transparency.json").status_code == 404
