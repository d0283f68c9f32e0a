"""Pictures in stories: uses are counted, revisions keep snapshots, and changes are visible."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid
from nif.ledger.queries import verify_ledger
from nif.media.library import PictureFraming, change_picture, delete_picture
from nif.media.models import DigitalSourceType, Picture
from nif.stories.corrections import NoteInput, StoryChange, revise_story
from nif.stories.diff import compare_revisions, list_protected_changes
from nif.stories.drafts import PICTURE_GONE, SectionInput, create_draft, save_draft
from nif.stories.models import BlockStyle, ChangeKind, Revision, Story
from nif.stories.publishing import (
    REVISION_FORMS,
    freeze_revision,
    list_live_revisions,
    publish_story,
)
from tests.conftest import NOON
from tests.factories import a_draft, an_account, story_copy, texts
from tests.media.pictures import a_description, a_ready_picture, an_unprepared_picture

LATER = NOON + timedelta(hours=1)


def uses(session: Session, *pictures: Picture) -> list[int]:
    for picture in pictures:
        session.refresh(picture)
    return [picture.use_count for picture in pictures]


def showing(lead: Picture | None, after: Picture | None = None) -> dict[str, Any]:
    """The input of a story with a lead picture and one after its section."""
    section = SectionInput("Why it matters:", ["It is so."], after.id if after else None)
    lead_id = lead.id if lead else None
    return {"headline": "Palisade Sells", "picture_id": lead_id, "sections": [section]}


def edit(session: Session, story: Story, **given: Any) -> None:
    save_draft(session, story, story_copy(**given), edits=story.edits, now=LATER)


def published(session: Session, **given: Any) -> tuple[Story, Revision]:
    story = a_draft(session, **given)
    return story, publish_story(session, story, by=None, now=NOON)


def test_every_use_of_a_picture_is_counted(session: Session) -> None:
    one, two = a_ready_picture(session), a_ready_picture(session)

    story = a_draft(session, **showing(one, one))
    assert uses(session, one, two) == [2, 0]
    edit(session, story, **showing(one, two))
    assert uses(session, one, two) == [1, 1]
    publish_story(session, story, by=None, now=NOON)
    assert uses(session, one, two) == [2, 2]
    edit(session, story, **showing(None))

    assert uses(session, one, two) == [1, 1]
    with pytest.raises(Conflict):
        delete_picture(session, one)


def test_every_revision_counts_as_a_use(session: Session) -> None:
    picture, admin = a_ready_picture(session), an_account(session)
    story, _ = published(session, **showing(picture))

    edit(session, story, **{**showing(picture), "lead": "It has sold nothing."})
    note = NoteInput(text="The sale fell through.")
    revise_story(
        session, story, StoryChange(ChangeKind.UPDATE, "No sale", note), by=admin, now=LATER
    )

    assert uses(session, picture) == [3]


def test_a_deleted_picture_is_refused_and_nothing_is_saved(session: Session) -> None:
    picture, gone = a_ready_picture(session), a_ready_picture(session)
    story = a_draft(session, **showing(picture))
    given = showing(gone, picture)
    delete_picture(session, gone)

    with pytest.raises(Invalid) as refusal:
        edit(session, story, **given)
    with pytest.raises(Invalid):
        create_draft(session, story_copy(**given), author_id=None, now=NOON)

    assert refusal.value.problems == {"pictures": PICTURE_GONE}
    assert (story.picture_id, uses(session, picture)) == (picture.id, [1])


def test_a_revision_keeps_a_snapshot_of_the_picture(session: Session) -> None:
    lead, after = a_ready_picture(session), a_ready_picture(session, caption="The buyer")

    _, revision = published(session, **showing(lead, after))
    change_picture(
        session, lead, a_description(credit="Somebody else"), PictureFraming(), edits=0, now=LATER
    )
    session.expire_all()

    assert revision.picture is not None
    assert (revision.picture["id"], revision.picture["credit"]) == (lead.id, "Ana Ruiz/NIF")
    assert revision.picture["shapes"]["share"]["jpeg"][0][1:] == [1200, 630]
    assert revision.sections[0]["picture"]["caption"] == "The buyer"
    assert REVISION_FORMS.write(revision)["picture"] == revision.picture
    assert verify_ledger(session, partial(list_live_revisions, session)).broken is None


def test_a_story_without_pictures_has_the_same_hash_as_one_without_the_key(
    session: Session,
) -> None:
    story = a_draft(session, headline="Palisade Sells")
    with_keys = freeze_revision(session, story, by=None, now=NOON)
    story.sections = [{key: s[key] for key in ("label", "bullets")} for s in story.sections]

    revision = freeze_revision(session, story, by=None, now=NOON)

    assert revision.content_hash == with_keys.content_hash
    assert set(revision.sections[0]) == {"anchor", "label", "bullets"}
    assert "picture" not in REVISION_FORMS.write(revision_of(session, story))


def revision_of(session: Session, story: Story) -> Revision:
    return publish_story(session, story, by=None, now=NOON)


def test_a_changed_picture_is_shown_in_the_diff_and_is_not_style(session: Session) -> None:
    one, two, by = (
        a_ready_picture(session),
        a_ready_picture(session, alt="A blue wall"),
        an_account(session),
    )
    story, without = published(session, **showing(None))
    frozen = []
    for given in (showing(one), showing(two, one)):
        edit(session, story, **given)
        frozen.append(freeze_revision(session, story, by=None, now=LATER, before=without))
    first, second = frozen

    assert changes(compare_revisions(without, first)) == [("Picture", "added")]
    assert changes(compare_revisions(first, second)) == [
        ("Picture", "changed"),
        ("Picture", "added"),
    ]
    assert changes(compare_revisions(second, without)) == [("Picture", "removed")] * 2
    assert (
        list_protected_changes(without, first)
        == list_protected_changes(first, second)
        == ["a picture"]
    )
    with pytest.raises(Invalid, match="This touches a picture"):
        revise_story(session, story, StoryChange(ChangeKind.STYLE, "A wall"), by=by, now=LATER)


def test_a_new_crop_of_the_same_picture_is_a_change_without_words(session: Session) -> None:
    picture = a_ready_picture(session)
    story, before = published(session, **showing(picture))
    after = freeze_revision(session, story, by=None, now=LATER, before=before)
    shapes: Mapping[str, Any] = {**picture_of(after)["shapes"], "wide": {"jpeg": [["x", 1, 1]]}}
    after.picture = {**picture_of(after), "shapes": shapes}

    (line,) = compare_revisions(before, after)

    assert (line.change, line.changed_characters) == ("changed", 0)
    assert list_protected_changes(before, after) == ["a picture"]


def changes(changed_lines: Any) -> list[tuple[str, str]]:
    return [(line.place, line.change) for line in changed_lines]


def picture_of(revision: Revision) -> dict[str, Any]:
    assert revision.picture is not None
    return revision.picture


def test_ai_in_pictures_is_disclosed_and_never_denied(session: Session) -> None:
    made = a_ready_picture(session, source_type=DigitalSourceType.BY_AI, credit="Midjourney/NIF")
    helped = a_ready_picture(session, source_type=DigitalSourceType.WITH_AI, credit="Ana Ruiz/NIF")
    own = a_ready_picture(session)
    full = {"block_style": BlockStyle.FULL}

    plain = freeze_revision(session, a_draft(session, **showing(own), **full), by=None, now=NOON)
    story = a_draft(session, **showing(made, helped), **full)
    revision = freeze_revision(session, story, by=None, now=NOON)

    assert texts(plain.block)[-1].endswith("and no generative AI was used to make it.")
    assert texts(revision.block)[-3:] == [
        "AI made a picture in this story (Midjourney/NIF).",
        "AI was used to make a picture in this story (Ana Ruiz/NIF).",
        "Nobody paid for this story and we know of no relationship with anyone in it.",
    ]


def test_a_picture_in_preparation_stops_publication(session: Session) -> None:
    story = a_draft(session, **showing(an_unprepared_picture(session)))

    assert freeze_revision(session, story, by=None, now=NOON).picture is None
    with pytest.raises(Invalid) as caught:
        publish_story(session, story, by=None, now=NOON)
    assert list(caught.value.problems) == ["picture_id"]
