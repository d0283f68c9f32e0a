"""What is on record about who is in a story: telling it, or waiving it with a second person."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.register import disclosure_decisions
from nif.register.relationships import get_relationship
from nif.stories.declarations import reaffirm_relationships
from nif.stories.drafts import get_story
from nif.stories.models import Story, StoryState
from nif.stories.parties import find_named_parties
from nif.web.access import Access, open_to
from nif.web.current import transaction
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.publishing import publishing_page

blueprint = Blueprint("newsroom_disclosures", __name__, url_prefix="/newsroom")

STORY_PATH = f"/stories/<int(max={2**63 - 1}):story_id>"
RELATIONSHIP_PATH = f"{STORY_PATH}/relationships/<int(max={2**63 - 1}):relationship_id>"


@blueprint.post(f"{RELATIONSHIP_PATH}/disclose")
@open_to(Access.EDITOR)
def disclose(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        me = current_user.id
        disclosure_decisions.disclose_relationship(
            session, story_id, relationship, by=me, now=utc_now()
        )
        audit_story_action(session, "relationship_told", story, party=relationship.party.name)

    return _apply_decision(story_id, decide, "Readers are told.")


@blueprint.post(f"{RELATIONSHIP_PATH}/waive")
@open_to(Access.EDITOR)
def request_waiver(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        reason, me = request.form.get("reason", ""), current_user.id
        made = disclosure_decisions.request_waiver(
            session, story_id, relationship, reason, by=me, now=utc_now()
        )
        said = {"party": relationship.party.name, "reason": made.reason}
        audit_story_action(session, "waiver_asked", story, **said)

    said = "Noted. It holds once a second person agrees."
    return _apply_decision(story_id, decide, said, about=f"waive-{relationship_id}")


@blueprint.post(f"{RELATIONSHIP_PATH}/agree")
@open_to(Access.EDITOR)
def confirm_waiver(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        decision = disclosure_decisions.map_current_decisions(
            session, story_id, [relationship]
        ).get(relationship_id)
        if decision is None:
            raise Conflict("There is nothing here to agree with any more.")
        disclosure_decisions.confirm_waiver(session, decision, by=current_user.id, now=utc_now())
        said = {"party": relationship.party.name, "reason": decision.reason}
        audit_story_action(session, "waiver_agreed", story, **said)

    return _apply_decision(
        story_id, decide, "Waived. Readers can read the reason at /relationships."
    )


@blueprint.post(f"{STORY_PATH}/affirm")
@open_to(Access.EDITOR)
def affirm_relationships(story_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        if "relationships" not in story.answers:
            raise Conflict("Nobody has answered that question yet.")
        story.answers = reaffirm_relationships(
            story.answers,
            find_named_parties(session, story),
            by=current_user.name,
            by_id=current_user.id,
            now=utc_now(),
        )
        audit_story_action(session, "relationships_affirmed", story)

    return _apply_decision(story_id, decide, "Affirmed, with your name.")


def _apply_decision(
    story_id: int, decide: Callable[[Session, Story], None], said: str, *, about: str = ""
) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            if story.state is StoryState.PUBLISHED:
                raise Conflict("This story is published: what it tells changes by a revision.")
            decide(session, story)
    except Invalid as error:
        return publishing_page(story_id, problems=error.problems, about=about), 422
    except (Conflict, NotAllowed) as error:
        flash(str(error))
    else:
        flash(said, "good")
    return redirect(url_for("newsroom_publishing.show", story_id=story_id), 303)
