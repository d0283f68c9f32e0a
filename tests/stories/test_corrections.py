"""Every change to a published story is a revision of a kind, with the rules of that kind."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import func, select

from nif.accounts.models import RoleName
from nif.errors import Conflict, Invalid, NotAllowed
from nif.stories import corrections
from nif.stories.corrections import (
    NoteInput,
    StoryChange,
    StoryNote,
    confirm_style_edit,
    revise_story,
)
from nif.stories.drafts import get_story, save_draft, store_autosave
from nif.stories.models import ChangeKind, NotePlacement, NoteSeverity, Revision, StoryStanding
from nif.stories.publishing import hash_revision_content, publish_story
from nif.stories.queries import get_published_revision, list_stories_since
from tests.conftest import NOON
from tests.factories import a_draft, a_story, an_account, page_version, story_copy

NUMBER = count()
LATER = NOON + timedelta(hours=1)
LEAD = "Palisade Records has sold its catalogue for £3m."
SPELT = "Palisade Records has sold it's catalogue for £3m."
WRONG = NoteInput(
    incorrect_text="it was sold for £3m",
    corrected_text="it was sold for £4m",
    severity=NoteSeverity.MINOR,
)


def published(session, **given):
    story = a_draft(session, **{"headline": "Palisade Sells", "lead": LEAD, **given})
    publish_story(session, story, by=None, now=NOON)
    return story


def edit(session, story, **given):
    copy = story_copy(**{"headline": "Palisade Sells", "lead": LEAD, **given})
    save_draft(session, story, copy, edits=story.edits, now=LATER)


def change(session, story, kind, note=None, *, by=None, now=LATER, **given):
    by = by or an_account(session, email=f"{next(NUMBER)}@example.com")
    given = {"summary": "What changed", **given}
    return revise_story(session, story, StoryChange(kind, note=note, **given), by=by, now=now)


def correct(session, story, *, lead="It was sold for £4m.", **given):
    edit(session, story, lead=lead)
    note = NoteInput(**{**vars(WRONG), **given})
    return change(session, story, ChangeKind.CORRECTION, note)


def notes(session):
    return session.scalars(select(StoryNote).order_by(StoryNote.id)).all()


def problems_of(session, story, kind, note=None, **given):
    with pytest.raises(Invalid) as refusal:
        change(session, story, kind, note, **given)
    return refusal.value.problems


def test_readers_see_the_current_revision_until_the_next_is_published(session):
    story = published(session)
    before = page_version(session)

    edit(session, story, lead=SPELT)
    assert get_published_revision(session, story.slug).lead == LEAD
    assert page_version(session) == before

    revision = change(session, story, ChangeKind.STYLE)
    assert get_published_revision(session, story.slug) is revision
    assert (revision.n, revision.lead, revision.changed_characters) == (2, SPELT, len("its it's "))
    assert page_version(session) == before + 1


def test_a_revision_keeps_the_first_publication_and_records_editor_kind_and_summary(session):
    story = published(session)
    editor = an_account(session)
    edit(session, story, dek="Nobody knows the buyer")

    revision = change(session, story, ChangeKind.UPDATE, NoteInput("The buyer is named"), by=editor)

    assert (revision.kind, revision.summary) == (ChangeKind.UPDATE, "What changed")
    assert (revision.first_published_at, revision.published_at) == (NOON, LATER)
    assert (revision.published_by_id, revision.slug) == (editor.id, story.slug)
    assert story.first_published_at == NOON


def test_earlier_revisions_are_kept(session):
    story = published(session)
    correct(session, story)
    session.expire_all()

    leads = select(Revision.n, Revision.lead).order_by(Revision.n)
    assert session.execute(leads).all() == [(1, LEAD), (2, "It was sold for £4m.")]


def test_a_change_of_style_keeps_the_modification_date(session):
    story = published(session)
    edit(session, story, lead=SPELT)

    assert change(session, story, ChangeKind.STYLE).modified_at == NOON
    assert correct(session, story).modified_at == LATER


def test_a_changed_number_is_refused_as_style(session):
    story = published(session)
    edit(session, story, lead="It was sold for £4m.")

    problems = problems_of(session, story, ChangeKind.STYLE)

    assert "a number" in problems["kind"]
    assert get_published_revision(session, story.slug).n == 1


def test_a_second_person_may_confirm_a_change_as_style_and_is_named(session):
    story = published(session)
    one, other = (an_account(session, email=f"{name}@example.com") for name in "ab")
    edit(session, story, headline="Palisade sells")
    confirm_style_edit(session, story, by=one, now=LATER)

    assert "kind" in problems_of(session, story, ChangeKind.STYLE, by=one)
    revision = change(session, story, ChangeKind.STYLE, by=other)
    assert revision.confirmed_by == one.name


def test_an_editor_who_took_part_in_a_change_cannot_confirm_it(session):
    story = published(session)
    one, other = (an_account(session, email=f"{name}@example.com") for name in ("a", "b"))
    store_autosave(
        session, story.id, {"lead": LEAD}, edits=0, by=other, now=NOON - timedelta(hours=1)
    )
    edit(session, story, lead=LEAD.replace("£3m", "£4m"))
    store_autosave(session, story.id, {"lead": "x"}, edits=story.edits, by=one, now=LATER)

    with pytest.raises(NotAllowed):
        confirm_style_edit(session, story, by=one, now=LATER)

    confirm_style_edit(session, story, by=other, now=LATER)
    assert change(session, story, ChangeKind.STYLE, by=one).confirmed_by == other.name


def test_a_confirmation_expires_with_the_next_save(session):
    story = published(session)
    edit(session, story, headline="Palisade sells")
    confirm_style_edit(session, story, by=an_account(session, email="a@example.com"), now=LATER)
    edit(session, story, headline="Palisade buys")

    assert "kind" in problems_of(session, story, ChangeKind.STYLE)


def test_a_correction_note_says_what_was_wrong_and_what_is_right(session):
    story = published(session)
    correct(session, story, cause="A typo", reported_by_reader=True)

    (note,) = notes(session)
    assert note.text == (
        "Correction, 20 November 2026, 13:00 UTC: An earlier version of this story said it was "
        "sold for £3m. It was sold for £4m. Reported by a reader."
    )
    assert note.sentence.startswith("An earlier version")
    assert (note.kind, note.severity, note.first_wrong_n, note.first_right_n) == (
        "correction",
        "minor",
        1,
        2,
    )


@pytest.mark.parametrize("missing", ["incorrect_text", "corrected_text", "severity"])
def test_an_incomplete_correction_is_refused(session, missing):
    story = published(session)
    edit(session, story, lead="It was sold for £4m.")
    note = NoteInput(**{**vars(WRONG), missing: None if missing == "severity" else ""})

    assert list(problems_of(session, story, ChangeKind.CORRECTION, note)) == [missing]
    assert notes(session) == []


@pytest.mark.parametrize("kind", [ChangeKind.UPDATE, ChangeKind.RIGHT_OF_REPLY])
def test_every_other_note_needs_a_summary_and_a_text(session, kind):
    story = published(session)
    edit(session, story, lead="It was sold for £4m.")

    assert list(problems_of(session, story, kind, summary=" ")) == ["summary", "text"]


def test_the_kind_publish_is_refused_for_a_change(session):
    story = published(session)
    edit(session, story, lead=SPELT)

    assert list(problems_of(session, story, ChangeKind.PUBLISH)) == ["kind"]


@pytest.mark.parametrize("first_wrong_n", [0, 2])
def test_the_first_wrong_version_must_exist(session, first_wrong_n):
    story = published(session)
    edit(session, story, lead="It was sold for £4m.")
    note = NoteInput(**{**vars(WRONG), "first_wrong_n": first_wrong_n})

    assert list(problems_of(session, story, ChangeKind.CORRECTION, note)) == ["first_wrong_n"]


@pytest.mark.parametrize(
    ("severity", "place", "standing"),
    [
        (NoteSeverity.MINOR, NotePlacement.FOOT, StoryStanding.SOUND),
        (NoteSeverity.SIGNIFICANT, NotePlacement.TOP, StoryStanding.SOUND),
        (NoteSeverity.SERIOUS, NotePlacement.TOP, StoryStanding.CORRECTED),
    ],
)
def test_severity_decides_placement_and_standing(session, severity, place, standing):
    revision = correct(session, published(session), severity=severity)

    assert (notes(session)[0].placement, revision.standing) == (place, standing)


def test_an_update_does_not_remove_the_label_corrected(session):
    story = published(session)
    correct(session, story, severity=NoteSeverity.SERIOUS)
    edit(session, story, lead="It was sold for £5m.")

    assert change(session, story, ChangeKind.UPDATE, NoteInput("More")).label == "Corrected"


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_an_unchanged_text_is_a_conflict_except_for_notes_without_a_change(session, kind):
    story = published(session)
    admin = an_account(session, RoleName.ADMIN)

    if kind in {"clarification", "editors_note", "retraction", "removal"}:
        assert change(session, story, kind, NoteInput("It is so"), by=admin).n == 2
    else:
        with pytest.raises(Conflict, match="Nothing was changed"):
            change(session, story, kind, NoteInput("It is so"), by=admin)


def test_a_retraction_skips_the_checks_and_is_left_out_of_new_stories(session):
    other = a_story(session)
    story = published(session)
    edit(session, story, lead="", sources=[])

    revision = change(session, story, ChangeKind.RETRACTION, NoteInput("It was invented"))

    assert (revision.label, notes(session)[0].placement) == ("Retracted", NotePlacement.TOP)
    none = select(Revision.story_id).where(Revision.id == 0)
    news = list_stories_since(session, none, since=NOON - timedelta(days=1), most=9)
    assert [one.id for one in news] == [other.id]


def test_every_other_change_must_pass_the_checks(session):
    story = published(session)
    edit(session, story, sources=[])

    problems = problems_of(session, story, ChangeKind.UPDATE, NoteInput("More"))
    assert list(problems) == ["sources"]


def test_a_removed_story_keeps_only_its_address_and_the_note(session):
    story = published(session)
    revision = change(session, story, ChangeKind.REMOVAL, NoteInput("A court forbids it"))

    assert (revision.lead, revision.sections, revision.block) == ("", [], [])
    names = ("slug", "story_type", "headline", "byline", "answers", *corrections.REMOVED_CONTENT)
    assert revision.content_hash == hash_revision_content(
        {name: getattr(revision, name) for name in names}
    )
    assert get_published_revision(session, story.slug) is revision
    edit(session, story, lead=SPELT)
    with pytest.raises(Conflict, match="removed"):
        change(session, story, ChangeKind.UPDATE, NoteInput("More"))


def test_an_editor_may_not_publish_a_clarification(session):
    story = published(session)
    with pytest.raises(NotAllowed):
        change(session, story, ChangeKind.CLARIFICATION, NoteInput("We meant so"))


def test_a_draft_cannot_be_revised(session):
    with pytest.raises(Conflict, match="not published"):
        change(session, a_draft(session), ChangeKind.STYLE)


@pytest.mark.parametrize("seen", [(1, 1), (2, 2)])
def test_a_change_after_the_page_was_opened_is_a_conflict(session, seen):
    story = published(session)
    edit(session, story, lead=SPELT)

    with pytest.raises(Conflict, match="Someone else"):
        change(session, story, ChangeKind.STYLE, seen=seen)
    assert change(session, story, ChangeKind.STYLE, seen=(1, 2)).n == 2


def test_of_two_concurrent_changes_one_is_a_conflict(database):
    with database.transaction() as session:
        story = published(session)
        editor = an_account(session)
        edit(session, story, lead=SPELT)

    def press(_):
        try:
            with database.transaction() as session:
                found = get_story(session, story.id, lock=True)
                revise_story(
                    session, found, StoryChange(ChangeKind.STYLE, "x"), by=editor, now=LATER
                )
        except Conflict:
            return "conflict"
        return "revised"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(press, range(2))) == ["conflict", "revised"]
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Revision)) == 2
