"""What is on record about who is in a story: telling it, or waiving it with a second person."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.register import deciding
from nif.register.relating import get_relationship
from nif.stories.answers import affirm_again
from nif.stories.drafting import get_story
from nif.stories.models import Story, StoryState
from nif.stories.parties import named_in
from nif.web.access import Access, open_to
from nif.web.current import transaction
from nif.web.newsroom.noting import note_story
from nif.web.newsroom.publishing import page

blueprint = Blueprint("newsroom_deciding", __name__, url_prefix="/newsroom")

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"
OF = f"{ONE}/relationships/<int(max={2**63 - 1}):relationship_id>"


@blueprint.post(f"{OF}/disclose")
@open_to(Access.EDITOR)
def disclose(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        me = current_user.id
        deciding.disclose(session, story_id, relationship, by=me, now=utc_now())
        note_story(session, "relationship_told", story, party=relationship.party.name)

    return _decided(story_id, decide, "Readers are told.")


@blueprint.post(f"{OF}/waive")
@open_to(Access.EDITOR)
def waive(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        reason, me = request.form.get("reason", ""), current_user.id
        made = deciding.waive(session, story_id, relationship, reason, by=me, now=utc_now())
        said = {"party": relationship.party.name, "reason": made.reason}
        note_story(session, "waiver_asked", story, **said)

    said = "Noted. It holds once a second person agrees."
    return _decided(story_id, decide, said, about=f"waive-{relationship_id}")


@blueprint.post(f"{OF}/agree")
@open_to(Access.EDITOR)
def agree(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        decision = deciding.decisions(session, story_id, [relationship]).get(relationship_id)
        if decision is None:
            raise Conflict("There is nothing here to agree with any more.")
        deciding.confirm_waiver(session, decision, by=current_user.id, now=utc_now())
        said = {"party": relationship.party.name, "reason": decision.reason}
        note_story(session, "waiver_agreed", story, **said)

    return _decided(story_id, decide, "Waived. Readers can read the reason at /relationships.")


@blueprint.post(f"{ONE}/affirm")
@open_to(Access.EDITOR)
def affirm(story_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        if "relationships" not in story.answers:
            raise Conflict("Nobody has answered that question yet.")
        story.answers = affirm_again(
            story.answers,
            named_in(session, story),
            by=current_user.name,
            by_id=current_user.id,
            now=utc_now(),
        )
        note_story(session, "relationships_affirmed", story)

    return _decided(story_id, decide, "Affirmed, with your name.")


def _decided(
    story_id: int, decide: Callable[[Session, Story], None], said: str, *, about: str = ""
) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            if story.state is StoryState.PUBLISHED:
                raise Conflict("This story is published: what it tells changes by a revision.")
            decide(session, story)
    except Invalid as error:
        return page(story_id, problems=error.problems, about=about), 422
    except (Conflict, NotAllowed) as error:
        flash(str(error))
    else:
        flash(said, "good")
    return redirect(url_for("newsroom_publishing.check", story_id=story_id), 303)
