import pytest

from nif.stories.drafts import SourceInput
from nif.stories.models import ReasonCode, SourceKind, Story, StorySource
from nif.stories.publishing import REVISION_FORMS, freeze_revision
from nif.stories.transparency_block import (
    REASONS_WITHOUT_SUBJECT,
    build_transparency_block,
    reason_clause_of,
)
from tests.conftest import NOON
from tests.factories import a_draft

DMN = "Digital Music News"


def a_source(publisher="", kind=SourceKind.PUBLICATION, **given):
    return StorySource(
        kind=kind, publisher=publisher, **{"title": "", "url": "", "seen_by_us": True, **given}
    )


def own():
    return a_source(kind=SourceKind.OWN_REPORTING)


def release(publisher):
    return a_source(publisher, SourceKind.PRESS_RELEASE)


def sentences(*sources, reason=None, subject=""):
    story = Story(sources=list(sources), reason_code=reason, reason_subject=subject)
    return [sentence.text for sentence in build_transparency_block(story)]


def test_the_block_of_the_seed_story_has_this_exact_text():
    said = sentences(
        a_source(DMN, url="https://www.digitalmusicnews.com/"),
        reason=ReasonCode.TOPIC_NEWS,
        subject="AI training on copyrighted material",
    )

    assert said == [
        "This story was written with information from Digital Music News.",
        "We covered it because it's news regarding AI training on copyrighted material.",
    ]


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ([DMN], DMN),
        ([DMN, "Billboard"], f"{DMN} and Billboard"),
        ([DMN, "Billboard", "Variety"], f"{DMN}, Billboard, and Variety"),
        (["A", "B", "C", "D"], "A, B, C, and D"),
        ([DMN, "Billboard", DMN], f"{DMN} and Billboard"),
        ([DMN, DMN], DMN),
    ],
)
def test_sources_are_joined_with_and_and_named_once(names, listed):
    said = sentences(*(a_source(name) for name in names))

    assert said == [f"This story was written with information from {listed}."]


def test_a_story_of_own_reporting_says_so():
    assert sentences(own()) == ["This story is based on our own reporting."]


def test_own_reporting_with_other_sources_is_named_first():
    said = sentences(own(), a_source(DMN), release("Palisade Records"))

    assert said == [
        f"This story combines our own reporting with information from {DMN} and Palisade Records."
    ]


def test_a_story_from_a_press_release_alone_says_so():
    said = sentences(release("Palisade Records"), release("Palisade Records"))

    assert said == ["This story is based on a press release from Palisade Records."]


def test_a_press_release_among_other_sources_is_listed_with_them():
    said = sentences(release("Palisade Records"), a_source(DMN))

    assert said == [f"This story was written with information from Palisade Records and {DMN}."]


def test_a_source_without_a_publisher_is_named_by_its_title():
    said = sentences(a_source(kind=SourceKind.COURT_FILING, title="Doe v. NVIDIA"))

    assert said == ["This story was written with information from Doe v. NVIDIA."]


def test_every_address_of_a_source_is_linked_from_its_name():
    story = Story(
        sources=[
            a_source(DMN, url="https://example.com/1"),
            a_source(DMN, url="https://example.com/2"),
            a_source(DMN, url="https://example.com/1"),
            a_source("Nobody", url=""),
        ]
    )

    [sentence] = build_transparency_block(story)
    assert sentence.links == ((DMN, "https://example.com/1"), (DMN, "https://example.com/2"))


def test_without_records_the_block_is_empty():
    assert sentences() == []
    assert reason_clause_of(Story(sources=[])) == ""


def test_a_story_without_sources_has_only_the_sentence_of_its_reason():
    said = sentences(reason=ReasonCode.EXCLUSIVE)

    assert said == [
        "We covered it because we found it out ourselves and nobody else had reported it."
    ]


@pytest.mark.parametrize("reason", ReasonCode)
def test_every_reason_makes_a_whole_sentence(reason):
    [said] = sentences(reason=reason, subject="SUBJECT {odd}")

    assert said.startswith("We covered it because ")
    assert said.endswith(".")
    assert ("SUBJECT {odd}" in said) is (reason not in REASONS_WITHOUT_SUBJECT)
    assert "{subject}" not in said


def test_unnamed_sources_are_disclosed_with_the_reason_and_without_a_name(session) -> None:
    def unnamed(because: str) -> SourceInput:
        return SourceInput(
            SourceKind.INTERVIEW,
            "A manager at a label",
            "Talk with Wren Callowpike",
            "https://example.com/wren",
            unnamed_because=because,
            known_to="Sam Okafor",
        )

    job, suit = "they could lose their job", "they were threatened with a suit"
    story = a_draft(session, sources=[unnamed(job), unnamed(suit), unnamed(job)])
    revision = freeze_revision(session, story, by=None, now=NOON)

    disclosed = [one["text"] for one in revision.block if one["kind"] == "sources_unnamed"]
    assert disclosed == [
        f"Two of our sources asked not to be named because {job}. An editor knows who they are.",
        f"One of our sources asked not to be named because {suit}. An editor knows who this is.",
    ]
    public = str([revision.sources, revision.block, REVISION_FORMS.write(revision)])
    assert "A manager at a label" in public
    assert not [name for name in ("Wren", "wren", "Okafor", "known_to") if name in public]
