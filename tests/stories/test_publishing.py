import hashlib
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from nif.errors import Conflict, Invalid
from nif.settings import PROJECT
from nif.stories.checks import CheckContext, blocking_findings_of, run_checks, sentences_by_field
from nif.stories.drafts import SourceInput, get_story, save_draft
from nif.stories.models import ReasonCode, Revision, SourceKind, StoryState
from nif.stories.publishing import backdate_story, freeze_revision, invalidate_pages, publish_story
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account, page_version, story_copy
from tests.register.entries import a_party, a_relationship

SEED = PROJECT / "nif/demo/stories/nvidia-accused-of-training-its-ai-on-anna-s-archive.toml"
HASHED = (
    *("slug", "story_type", "headline", "dek", "lead", "sections"),
    *("byline", "block", "sources", "answers", "tags"),
)


def problems(story):
    return sentences_by_field(blocking_findings_of(run_checks(CheckContext(story))))


def a_seed_story(session):
    seed = tomllib.loads(SEED.read_text())
    return a_draft(
        session,
        headline=seed["headline"],
        lead=seed["lead"],
        sections=[(section["label"], section["bullets"]) for section in seed["sections"]],
        tags=seed["tags"],
        sources=[SourceInput(**source) for source in seed["sources"]],
        reason_code=ReasonCode(seed["reason"]["code"]),
        reason_subject=seed["reason"]["subject"],
    )


def a_source(kind=SourceKind.PUBLICATION, name="", title="", url="https://example.com/"):
    return [SourceInput(kind, name, title, url)]


NAMELESS = "Source 1 needs a name: who published it, or what it is."
NOWHERE = "Source 1 needs its exact address, beginning with https://."

FAILED_CHECKS = [
    ({"headline": " "}, "headline", "A story needs a headline."),
    ({"headline": "x" * 111}, "headline", "A headline has at most 110 characters."),
    ({"lead": "\n"}, "lead", "A story needs a lead: the paragraph that says what happened."),
    ({"sections": []}, "sections", "A story needs at least one section with a bullet."),
    (
        {"sections": [("Why:", []), ("How:", [])]},
        "sections",
        "A story needs at least one section with a bullet.",
    ),
    ({"byline": ""}, "byline", "A story needs a byline: readers see who wrote it."),
    ({"sources": []}, "sources", "Name at least one source. Our own reporting counts as one."),
    ({"sources": a_source()}, "sources-0-publisher", NAMELESS),
    ({"sources": a_source(SourceKind.DATASET, " ", " ")}, "sources-0-publisher", NAMELESS),
    ({"sources": a_source(name="DMN", url="")}, "sources-0-url", NOWHERE),
    ({"sources": a_source(name="DMN", url="example.com/sale")}, "sources-0-url", NOWHERE),
    ({"sources": a_source(name="DMN", url="javascript:alert(1)")}, "sources-0-url", NOWHERE),
    ({"sources": a_source(name="DMN", url="https://")}, "sources-0-url", NOWHERE),
    ({"sources": a_source(name="DMN", url="https://[broken")}, "sources-0-url", NOWHERE),
    (
        {"reason_code": None},
        "reason_code",
        "Say why NIF covers this: we promised readers the reason for every story.",
    ),
    ({"reason_subject": " "}, "reason_subject", "Complete the sentence “We covered it because …”."),
]


@pytest.mark.parametrize(("given", "field", "sentence"), FAILED_CHECKS)
def test_an_incomplete_story_is_refused_with_what_is_missing(session, given, field, sentence):
    story = a_draft(session, **given)

    with pytest.raises(Invalid) as refusal:
        publish_story(session, story, by=None, now=NOON)

    assert refusal.value.problems == {field: sentence}
    assert story.state is StoryState.DRAFT
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    assert page_version(session) == 0


def test_all_failed_checks_are_reported_together(session):
    story = a_draft(session, lead="", byline="", sources=[], reason_code=None)

    assert list(problems(story)) == ["lead", "byline", "sources", "reason_code"]


@pytest.mark.parametrize(
    "given",
    [
        {"headline": "x" * 110},
        {"sources": [SourceInput(SourceKind.OWN_REPORTING)]},
        {"sources": [SourceInput(SourceKind.INTERVIEW, "Jo Reyes")]},
        {"sources": a_source(SourceKind.COURT_FILING, title="Doe v. NVIDIA")},
        {"reason_code": ReasonCode.EXCLUSIVE, "reason_subject": ""},
        {"reason_code": ReasonCode.OWN_GROUP, "reason_subject": ""},
        {"dek": "", "tags": []},
    ],
)
def test_a_complete_story_passes_all_checks(session, given):
    assert problems(a_draft(session, **given)) == {}


def test_publishing_creates_the_first_revision(session):
    editor = an_account(session)
    story = a_draft(session, headline="As Published", tags=["AI", "Deals"])

    revision = publish_story(session, story, by=editor.id, now=NOON)

    assert (story.state, story.current_id) == (StoryState.PUBLISHED, revision.id)
    assert story.first_published_at == story.updated_at == NOON
    assert (revision.n, revision.story_id, revision.published_by_id) == (1, story.id, editor.id)
    assert revision.published_at == revision.first_published_at == NOON
    assert revision.tags == [["ai", "AI"], ["deals", "Deals"]]
    assert [source["publisher"] for source in revision.sources] == ["The Turntable Gazette"]


def test_a_revision_does_not_change_with_the_working_copy(session):
    story = a_draft(session, headline="As Published")
    revision = publish_story(session, story, by=None, now=NOON)
    session.flush()

    story.headline, story.sections = "Afterwards", []
    story.sources[0].publisher = "Somebody Else"
    story.tags[0].name = "Renamed"
    session.flush()
    session.expire_all()

    assert revision.headline == "As Published"
    assert revision.sections[0]["bullets"][0]["text"] == "It is the largest sale of the year."
    assert "The Turntable Gazette" in revision.block[0]["text"]
    assert revision.tags == [["deals", "Deals"]]


def test_the_content_hash_can_be_recomputed_from_the_stored_revision(session):
    revision = publish_story(session, a_seed_story(session), by=None, now=NOON)
    session.flush()
    session.expire_all()

    content = {name: getattr(revision, name) for name in HASHED}
    again = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert revision.content_hash == again


def test_the_content_hash_depends_on_the_content_and_not_on_the_moment(session):
    story = a_draft(session)
    first = freeze_revision(session, story, by=None, now=NOON).content_hash
    later = freeze_revision(session, story, by=None, now=NOON + timedelta(days=1)).content_hash

    save_draft(session, story, story_copy(headline=story.headline, lead="Else."), edits=0, now=NOON)

    assert first == later
    assert freeze_revision(session, story, by=None, now=NOON).content_hash != first


def test_the_content_hash_is_the_same_after_reloading_the_story(session):
    story = a_draft(session, tags=["Venues", "AI", "Deals"])
    written = freeze_revision(session, story, by=None, now=NOON).content_hash
    session.expire_all()

    assert freeze_revision(session, story, by=None, now=NOON).content_hash == written


def test_building_a_revision_publishes_nothing(session):
    story = a_draft(session)

    shown = freeze_revision(session, story, by=None, now=NOON)
    session.flush()

    assert shown.headline == story.headline
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    assert page_version(session) == 0


def test_publishing_twice_is_a_conflict(session):
    story = a_draft(session)
    publish_story(session, story, by=None, now=NOON)

    with pytest.raises(Conflict, match="published already"):
        publish_story(session, story, by=None, now=NOON)

    assert session.scalar(select(func.count()).select_from(Revision)) == 1


def test_of_two_editors_who_publish_at_once_one_gets_a_conflict(database):
    with database.transaction() as session:
        story_id = a_draft(session).id

    def press(_):
        try:
            with database.transaction() as session:
                publish_story(session, get_story(session, story_id, lock=True), by=None, now=NOON)
        except Conflict:
            return "conflict"
        return "published"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(press, range(2))) == ["conflict", "published"]


@pytest.mark.parametrize(
    "labels",
    [
        ["Backstory:", "Why it matters:"],
        ["Backstory:", "Backstory", "backstory"],
        ["", "音楽", ":"],
        ["Why", "Why b1", "Why b2"],
        ["Why", "Why 2", "Why"],
    ],
)
def test_every_anchor_on_a_page_is_unique(session, labels):
    sections = [(label, ["One.", "Two."]) for label in labels]

    revision = freeze_revision(session, a_draft(session, sections=sections), by=None, now=NOON)

    anchors = [section["anchor"] for section in revision.sections]
    anchors += [bullet["anchor"] for part in revision.sections for bullet in part["bullets"]]
    assert len(anchors) == len(labels) * 3
    assert len(set(anchors)) == len(anchors)


def test_anchors_are_made_from_labels(session):
    sections = [("Why it matters:", ["One."]), ("Why it matters:", ["Two."])]

    revision = freeze_revision(session, a_draft(session, sections=sections), by=None, now=NOON)

    assert [section["anchor"] for section in revision.sections] == [
        "why-it-matters",
        "why-it-matters-2",
    ]
    assert revision.sections[0]["bullets"] == [
        {"anchor": "why-it-matters-b1", "text": "One.", "sources": []}
    ]


def test_the_seed_story_has_224_words_and_takes_a_minute(session):
    revision = publish_story(session, a_seed_story(session), by=None, now=NOON)

    assert (revision.word_count, revision.reading_minutes) == (224, 1)


@pytest.mark.parametrize(
    ("words", "minutes"),
    [(0, 1), (1, 1), (224, 1), (356, 1), (357, 2), (594, 2), (595, 3), (2380, 10)],
)
def test_reading_time_is_rounded_half_up_and_at_least_a_minute(words, minutes):
    assert Revision(word_count=words).reading_minutes == minutes


def test_the_page_version_grows_with_every_change_that_readers_see(session):
    versions = [page_version(session)]
    a_draft(session)
    versions.append(page_version(session))
    a_story(session)
    versions.append(page_version(session))
    invalidate_pages(session)
    versions.append(page_version(session))

    assert versions == [0, 0, 1, 2]


def test_backdating_a_story_leaves_other_stories_unchanged(session):
    other, revision = a_story(session), a_story(session)
    story = get_story(session, revision.story_id)
    earlier = NOON - timedelta(days=300)

    backdate_story(session, story, moment=earlier)
    session.flush()
    session.expire_all()

    assert story.first_published_at == story.updated_at == earlier
    assert revision.published_at == revision.first_published_at == earlier
    assert other.first_published_at == NOON


def test_publishing_looks_up_the_register_once(session):
    a_relationship(session, a_party(session, "Quillfeather"))
    story = a_draft(session, headline="Quillfeather Is Sold")
    session.flush()
    statements = []

    @event.listens_for(session.get_bind(), "before_cursor_execute")
    def note_statement(connection, cursor, statement, parameters, context, many):
        statements.append(statement)

    publish_story(session, story, by=None, now=NOON)

    def reads_of(table):
        return sum(f"FROM {table}" in one and "SELECT" in one for one in statements)

    assert reads_of("register_version") == 1
    assert reads_of("relationship") == 1
    assert reads_of("disclosure_decision") == 1
