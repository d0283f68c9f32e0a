"""Each check: what fails it, and what passes it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nif.media.models import DigitalSourceType
from nif.stories.checks import CHECKS, CheckContext, FindingLevel, run_checks
from nif.stories.drafts import SourceInput
from nif.stories.models import (
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    StoryType,
    text_fingerprint_of,
)
from nif.stories.records import look_up_story_records
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from tests.conftest import NOON
from tests.factories import NOTHING_TO_DECLARE, a_draft
from tests.media.pictures import a_ready_picture

GAZETTE = SourceInput(
    SourceKind.PUBLICATION, "The Gazette", "Sale", "https://example.com/sale", "facts"
)
FILING = SourceInput(
    SourceKind.COURT_FILING, "", "the complaint", "https://example.com/complaint", "claims"
)
OWN = SourceInput(SourceKind.OWN_REPORTING)
RELEASE = SourceInput(
    SourceKind.PRESS_RELEASE, "Palisade", "", "https://example.com/release", "facts"
)
WHY = "Why it matters:"


def bullets(*lines: str) -> dict[str, Any]:
    return {"sections": [(WHY, list(lines))]}


def answer(question: DeclarationQuestion, value: str, **details: Any) -> dict[str, Any]:
    return {"answers": {**NOTHING_TO_DECLARE, question: AnswerInput(value, details)}}


def without(question: DeclarationQuestion) -> dict[str, Any]:
    return {"answers": {q: one for q, one in NOTHING_TO_DECLARE.items() if q is not question}}


def unseen(relied_on: int | None) -> SourceInput:
    return replace(FILING, seen_by_us=False, relied_on=relied_on)


TWO = {"sources": [GAZETTE, FILING]}

FAILING: Mapping[str, tuple[str, str, FindingLevel, dict[str, Any]]] = {
    "no headline": ("G01", "headline", FindingLevel.BLOCK, {"headline": " "}),
    "a headline too long": ("G01", "headline", FindingLevel.BLOCK, {"headline": "x" * 111}),
    "no lead": ("G01", "lead", FindingLevel.BLOCK, {"lead": ""}),
    "no sections": ("G01", "sections", FindingLevel.BLOCK, {"sections": []}),
    "an empty section": (
        "G01",
        "sections",
        FindingLevel.BLOCK,
        {"sections": [("A", ["a"]), ("B", [])]},
    ),
    "no byline": ("G02", "byline", FindingLevel.BLOCK, {"byline": ""}),
    "a report without reporting": (
        *("G03", "story_type", FindingLevel.BLOCK),
        {"story_type": StoryType.REPORT},
    ),
    "a brief with reporting": ("G03", "story_type", FindingLevel.WARN, {"sources": [OWN]}),
    "no source": ("G04", "sources", FindingLevel.BLOCK, {"sources": []}),
    "a source without a name": (
        *("G04", "sources-0-publisher", FindingLevel.BLOCK),
        {"sources": [replace(GAZETTE, publisher="", title="")]},
    ),
    "a source without an address": (
        *("G04", "sources-0-url", FindingLevel.BLOCK),
        {"sources": [replace(GAZETTE, url="")]},
    ),
    "a front page": (
        *("G04", "sources-0-url", FindingLevel.WARN),
        {"sources": [replace(GAZETTE, url="https://example.com/")]},
    ),
    "nothing used": (
        *("G05", "sources-0-taken", FindingLevel.WARN),
        {"sources": [replace(GAZETTE, taken="")]},
    ),
    "a quotation without a source": (
        *("G06", "sections-0-bullets", FindingLevel.DECIDE),
        {**TWO, **bullets("It is “unfair”.")},
    ),
    "a number without a source": (
        *("G06", "sections-0-bullets", FindingLevel.WARN),
        {**TWO, **bullets("It sold 12.")},
    ),
    "an accusation without a source": (
        *("G06", "sections-0-bullets", FindingLevel.WARN),
        {**TWO, **bullets("It is accused.")},
    ),
    "an unknown source": (
        *("G06", "sections-0-bullets", FindingLevel.BLOCK),
        bullets("It sold. [4]"),
    ),
    "not seen and no intermediary": (
        *("G07", "sources-1-relied_on", FindingLevel.BLOCK),
        {"sources": [GAZETTE, unseen(None)]},
    ),
    "relying on itself": (
        *("G07", "sources-1-relied_on", FindingLevel.BLOCK),
        {"sources": [GAZETTE, unseen(2)]},
    ),
    "relying on a source that was not seen either": (
        *("G07", "sources-0-relied_on", FindingLevel.BLOCK),
        {"sources": [unseen(2), replace(GAZETTE, seen_by_us=False, relied_on=1)]},
    ),
    "a release without verification": (
        "G09",
        "sources-0-checked",
        FindingLevel.BLOCK,
        {"sources": [RELEASE]},
    ),
    "no reason": ("G10", "reason_code", FindingLevel.BLOCK, {"reason_code": None}),
    "an incomplete reason": ("G10", "reason_subject", FindingLevel.BLOCK, {"reason_subject": " "}),
    "a long reason": ("G10", "reason_subject", FindingLevel.BLOCK, {"reason_subject": "x" * 161}),
    "praise": ("G10", "reason_subject", FindingLevel.WARN, {"reason_subject": "an exciting deal"}),
    "no origin": ("G11", "origin", FindingLevel.BLOCK, without(DeclarationQuestion.ORIGIN)),
    "pitched without a name": (
        *("G11", "origin_by", FindingLevel.BLOCK),
        answer(DeclarationQuestion.ORIGIN, StoryOrigin.PITCHED),
    ),
    "our commercial team": (
        *("G11", "origin", FindingLevel.DECIDE),
        answer(DeclarationQuestion.ORIGIN, StoryOrigin.COMMERCIAL),
    ),
    "our owner": (
        "G11",
        "origin",
        FindingLevel.DECIDE,
        answer(DeclarationQuestion.ORIGIN, StoryOrigin.OWNER),
    ),
    "a headline that states it": (
        *("G12", "headline", FindingLevel.WARN),
        {"headline": "Palisade Stole It", "lead": "Palisade allegedly stole it."},
    ),
    "no word on relationships": (
        *("G16", "relationships", FindingLevel.BLOCK),
        without(DeclarationQuestion.RELATIONSHIPS),
    ),
    "declared without a sentence": (
        *("G16", "relationship_sentences", FindingLevel.BLOCK),
        answer(DeclarationQuestion.RELATIONSHIPS, RelationshipDeclaration.DECLARED),
    ),
    "no word on money": ("G19", "money", FindingLevel.BLOCK, without(DeclarationQuestion.MONEY)),
    "paid": (
        "G19",
        "money",
        FindingLevel.BLOCK,
        answer(DeclarationQuestion.MONEY, StoryFunding.PAID),
    ),
    "a grant without a name": (
        "G19",
        "money_by",
        FindingLevel.BLOCK,
        answer(DeclarationQuestion.MONEY, StoryFunding.GRANT),
    ),
    "no word on AI": ("G21", "ai", FindingLevel.BLOCK, without(DeclarationQuestion.AI)),
    "AI without its tasks": (
        *("G21", "ai_tasks", FindingLevel.BLOCK),
        answer(DeclarationQuestion.AI, StoryAiUse.ASSISTED, tools="Scribe 2"),
    ),
    "AI without its tools": (
        *("G21", "ai_tools", FindingLevel.BLOCK),
        answer(DeclarationQuestion.AI, StoryAiUse.GENERATED),
    ),
    "AI that nobody checked": (
        *("G21", "ai_checked", FindingLevel.BLOCK),
        answer(DeclarationQuestion.AI, StoryAiUse.GENERATED, tools="Scribe 2"),
    ),
    "AI checked before it changed": (
        *("G21", "ai_checked", FindingLevel.BLOCK),
        answer(DeclarationQuestion.AI, StoryAiUse.GENERATED, tools="Scribe 2", checked="0" * 16),
    ),
    "a placeholder": ("G33", "lead", FindingLevel.BLOCK, {"lead": "It sold for TK million."}),
}

PASSING: Mapping[str, dict[str, Any]] = {
    "the default story": {},
    "a headline of 110": {"headline": "x" * 110},
    "a report with reporting": {"story_type": StoryType.REPORT, "sources": [OWN]},
    "a single source needs no citation": bullets("It is “unfair”, and sold 12."),
    "each cites its source": {**TWO, **bullets("It is “unfair”. [1]", "It sold 12. [1, 2]")},
    "named in the text": {**TWO, **bullets("It is “unfair”, the gazette says.")},
    "own reporting needs no citation": {
        "story_type": StoryType.REPORT,
        "sources": [OWN, GAZETTE],
        **bullets("It is “unfair”."),
    },
    "plain words need no citation": {**TWO, **bullets("It may spread.")},
    "seen by another source": {"sources": [GAZETTE, replace(unseen(1), url="")]},
    "a release we did not check": {"sources": [replace(RELEASE, checked=ReleaseVerification.NO)]},
    "a reason that needs no subject": {"reason_code": ReasonCode.EXCLUSIVE, "reason_subject": ""},
    "pitched by someone": answer(DeclarationQuestion.ORIGIN, StoryOrigin.PITCHED, by="Palisade"),
    "declared in a sentence": answer(
        DeclarationQuestion.RELATIONSHIPS,
        RelationshipDeclaration.DECLARED,
        sentences=["Palisade pays our owner."],
    ),
    "a grant by someone": answer(DeclarationQuestion.MONEY, StoryFunding.GRANT, by="The Fund"),
    "AI as a tool": answer(DeclarationQuestion.AI, StoryAiUse.TOOLING),
    "a hedged headline": {"headline": "Palisade Accused", "lead": "It allegedly stole."},
    "a word with TK in it": {"lead": "The TKO Agency and Atkins agree."},
}


def copy_of(given: dict[str, Any]) -> dict[str, Any]:
    return {"sources": [GAZETTE], **given}


@pytest.mark.parametrize("name", FAILING)
def test_a_problem_fails_its_check(session, name: str) -> None:
    code, field, level, given = FAILING[name]

    found = run_checks(CheckContext(a_draft(session, **copy_of(given)), now=NOON))

    assert (code, field, level) in [(one.code, one.field, one.level) for one in found]
    assert all(one.text.endswith((".", "?")) for one in found)


@pytest.mark.parametrize("name", PASSING)
def test_a_correct_story_passes_every_check(session, name: str) -> None:
    found = run_checks(CheckContext(a_draft(session, **copy_of(PASSING[name])), now=NOON))

    assert [one for one in found if one.level is not FindingLevel.WARN] == []


def test_every_check_is_failed_by_one_of_the_cases(session) -> None:
    """No check exists that has never failed."""
    contexts = [
        CheckContext(a_draft(session, **copy_of(given)), now=NOON) for *_, given in FAILING.values()
    ]
    contexts += [embargoed(session), about_someone_new(session), showing(session, credit="")]
    contexts += [CheckContext(a_draft(session, sources=[replace(UNNAMED, known_to="")]))]

    assert [
        code for code, check in CHECKS.items() if not any(list(check(one)) for one in contexts)
    ] == []


def showing(session, **given: Any) -> CheckContext:
    picture = a_ready_picture(session)
    story = a_draft(session, picture_id=picture.id, sources=[GAZETTE])
    for name, value in given.items():
        setattr(picture, name, value)
    session.flush()
    context = look_up_story_records(session, story, story_id=story.id, now=NOON)
    return replace(context, names_without_profile=())


FILE_DECLARES_AI = {"declared_source_type": "trainedAlgorithmicMedia"}


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"alt": " "}, FindingLevel.BLOCK),
        ({"credit": ""}, FindingLevel.BLOCK),
        ({"requested_set": 2}, FindingLevel.BLOCK),
        (FILE_DECLARES_AI, FindingLevel.BLOCK),
        ({"licence": "", "licence_url": ""}, FindingLevel.WARN),
    ],
)
def test_an_incomplete_picture_fails_its_check(session, given, level) -> None:
    (found,) = run_checks(showing(session, **given))

    assert (found.code, found.field, found.level) == ("G24", "picture_id", level)


def test_a_complete_picture_passes(session) -> None:
    decorative = {"alt": "", "is_decorative": True}
    by_ai = {**FILE_DECLARES_AI, "source_type": DigitalSourceType.BY_AI}

    assert [run_checks(showing(session, **given)) for given in ({}, decorative, by_ai)] == [
        [],
        [],
        [],
    ]


def embargoed(session) -> CheckContext:
    return CheckContext(a_draft(session, embargo_until=NOON + timedelta(hours=1)), now=NOON)


def about_someone_new(session) -> CheckContext:
    return CheckContext(a_draft(session), parties=[7], undecided_parties=("Palisade",), now=NOON)


def test_a_story_under_embargo_fails_until_it_ends(session) -> None:
    context = embargoed(session)

    assert [one.code for one in run_checks(context) if one.level is FindingLevel.BLOCK] == ["G29"]
    assert run_checks(replace(context, now=NOON + timedelta(hours=1))) == run_checks(
        CheckContext(a_draft(session), now=NOON)
    )


def test_a_new_party_reopens_the_question_of_relationships(session) -> None:
    found = run_checks(about_someone_new(session))

    assert {one.code for one in found} >= {"G14", "G16"}


UNNAMED = SourceInput(
    SourceKind.INTERVIEW,
    "A manager at a label",
    unnamed_because="they could lose their job",
    known_to="Sam Okafor",
)


def test_an_unnamed_source_that_an_editor_knows_passes(session) -> None:
    story = a_draft(session, sources=[GAZETTE, UNNAMED])

    found = run_checks(CheckContext(story, confidants=frozenset({"Sam Okafor"})))

    assert [one for one in found if one.code == "G08"] == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": SourceKind.PUBLICATION}, "kind"),
        ({"publisher": ""}, "publisher"),
        ({"unnamed_because": ""}, "unnamed_because"),
        ({"unnamed_because": "x" * 161}, "unnamed_because"),
        ({"known_to": ""}, "known_to"),
        ({"known_to": "Jo Reyes"}, "known_to"),
    ],
)
def test_an_unnamed_source_needs_a_reason_and_a_confidant(session, given, field) -> None:
    story = a_draft(session, sources=[GAZETTE, replace(UNNAMED, **given)])

    found = run_checks(CheckContext(story, confidants=frozenset({"Sam Okafor"})))

    findings = [(one.field, one.level) for one in found if one.code == "G08"]
    assert findings == [(f"sources-1-{field}", FindingLevel.BLOCK)]


def test_unnamed_sources_alone_need_a_decision(session) -> None:
    found = run_checks(CheckContext(a_draft(session, sources=[UNNAMED, UNNAMED])))

    findings = [(one.field, one.level) for one in found if one.code == "G08"]
    assert findings == [("sources", FindingLevel.DECIDE)]


def test_a_text_that_was_checked_in_its_present_form_passes(session) -> None:
    story = a_draft(session, sources=[GAZETTE])
    given = answer(
        DeclarationQuestion.AI,
        StoryAiUse.GENERATED,
        tools="Scribe 2",
        checked=text_fingerprint_of(story),
    )
    same = a_draft(session, **copy_of({**given, "headline": story.headline}))

    assert "G21" not in {one.code for one in run_checks(CheckContext(same, now=NOON))}
