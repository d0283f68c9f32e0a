"""Decisions about the known relationships of a draft: disclose, or waive with a second person."""

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
from nif.stories.records import find_named_parties
from nif.web.access import Access, open_to
from nif.web.current import transaction
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.publishing import publishing_page

blueprint = Blueprint("newsroom_disclosures", __name__, url_prefix="/newsroom")

STORY_PATH = "/stories/<id:story_id>"
RELATIONSHIP_PATH = f"{STORY_PATH}/relationships/<id:relationship_id>"


@blueprint.post(f"{RELATIONSHIP_PATH}/disclose")
@open_to(Access.EDITOR)
def disclose(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        disclosure_decisions.disclose_relationship(
            session, story_id, relationship, by=current_user.id, now=utc_now()
        )
        audit_story_action(session, "relationship_disclosed", story, party=relationship.party.name)

    return _apply_decision(story_id, decide, "Disclosed. Readers will see it.")


@blueprint.post(f"{RELATIONSHIP_PATH}/request-waiver")
@open_to(Access.EDITOR)
def request_waiver(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        reason = request.form.get("reason", "")
        decision = disclosure_decisions.request_waiver(
            session, story_id, relationship, reason, by=current_user.id, now=utc_now()
        )
        detail = {"party": relationship.party.name, "reason": decision.reason}
        audit_story_action(session, "waiver_requested", story, **detail)

    message = "Waiver requested. It takes effect once a second person confirms it."
    return _apply_decision(story_id, decide, message, failed_form=f"waive-{relationship_id}")


@blueprint.post(f"{RELATIONSHIP_PATH}/confirm-waiver")
@open_to(Access.EDITOR)
def confirm_waiver(story_id: int, relationship_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        relationship = get_relationship(session, relationship_id)
        decision = disclosure_decisions.map_current_decisions(
            session, story_id, [relationship]
        ).get(relationship_id)
        if decision is None:
            raise Conflict("There is no waiver left to confirm.")
        disclosure_decisions.confirm_waiver(session, decision, by=current_user.id, now=utc_now())
        detail = {"party": relationship.party.name, "reason": decision.reason}
        audit_story_action(session, "waiver_confirmed", story, **detail)

    return _apply_decision(story_id, decide, "Waived. The reason is public at /relationships.")


@blueprint.post(f"{STORY_PATH}/affirm")
@open_to(Access.EDITOR)
def affirm_relationships(story_id: int) -> ResponseReturnValue:
    def decide(session: Session, story: Story) -> None:
        if "relationships" not in story.answers:
            raise Conflict("That question has no answer yet.")
        story.answers = reaffirm_relationships(
            story.answers,
            find_named_parties(session, story),
            by=current_user.name,
            by_id=current_user.id,
            now=utc_now(),
        )
        audit_story_action(session, "relationships_affirmed", story)

    return _apply_decision(story_id, decide, "Confirmed with your name.")


def _apply_decision(
    story_id: int, decide: Callable[[Session, Story], None], message: str, *, failed_form: str = ""
) -> ResponseReturnValue:
    """Run `decide` on the locked draft, and answer with the page before publishing.

    `failed_form` names the small form that a problem belongs to.
    """
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            if story.state is StoryState.PUBLISHED:
                raise Conflict("This story is published: its disclosures change with a revision.")
            decide(session, story)
    except Invalid as error:
        return publishing_page(story_id, problems=error.problems, failed_form=failed_form), 422
    except (Conflict, NotAllowed) as error:
        flash(str(error))
    else:
        flash(message, "good")
    return redirect(url_for("newsroom_publishing.show", story_id=story_id), 303)
