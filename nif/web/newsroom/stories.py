"""The desk: the stories by state, the form that drafts one, and its preview."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.media.models import Picture
from nif.stories import bylines, drafting, measuring, publishing, reviewing
from nif.stories.desk import keeping
from nif.stories.desk.searching import find
from nif.stories.drafting import get_story
from nif.stories.fingerprints import fingerprint
from nif.stories.gates.finding import Case
from nif.stories.gating import check, in_the_way
from nif.stories.models import Story, StoryState
from nif.stories.picturing import pictures_of
from nif.stories.reading import before_readers
from nif.stories.reviewing import OPEN
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import answer_form, words
from nif.web.newsroom.looking import look
from nif.web.newsroom.noting import note_story
from nif.web.newsroom.rights import get_own_story, may_change
from nif.web.newsroom.story_copy import copy_of
from nif.web.newsroom.story_form import StoryForm, blank, filled, flat, grown, read

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

NEXT = {
    "preview": ".preview",
    "publish": "newsroom_publishing.check",
    "revise": "newsroom_revising.look",
}
"""Where a button of the form leads once the draft is saved."""

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"
LONGEST_SEARCH = 100
AT_A_GLANCE = 10


@blueprint.get("/")
@open_to(Access.AUTHOR)
def desk() -> ResponseReturnValue:
    asked = request.args.get("state", "")
    states = [state for state in StoryState if asked in ("", state.value)]
    mine, q = bool(request.args.get("mine")), request.args.get("q", "").strip()[:LONGEST_SEARCH]
    after = request.args.get("after")
    given: dict[str, Any] = {"author_id": current_user.id if mine else None, "words": q}
    with reading() as session:
        if asked or mine or q or after:
            only = states[0] if asked and states else None
            pages = {"found": find(session, state=only, after=after, **given)}
        else:
            pages = {state.value: find(session, state=state, size=AT_A_GLANCE) for state in states}
        shown = [one for page in pages.values() for one in page.stories]
        pictures = pictures_of(session, shown)
        facts = {one.id: _facts(one, pictures) for one in shown}
        became = before_readers(session, shown)
    return render_template(
        "newsroom/stories/desk.html",
        pages=pages,
        facts=facts,
        became=became,
        asked={"state": asked if len(states) == 1 else "", "mine": "1" if mine else "", "q": q},
        words=words,
    )


def _facts(story: Story, pictures: Mapping[int, Picture]) -> dict[str, int]:
    count = measuring.count_words(story.lead, story.sections)
    missing = len(in_the_way(check(Case(story, pictures=pictures)))) if story.state in OPEN else 0
    return {"missing": missing, "words": count, "minutes": measuring.minutes(count)}


@blueprint.get("/stories/new")
@open_to(Access.AUTHOR)
def begin() -> ResponseReturnValue:
    return form_page(blank(current_user.name))


@blueprint.post("/stories/new")
@open_to(Access.AUTHOR)
def draft() -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return form_page(grown(form, what), added=what)
    try:
        copy = copy_of(form)
        with transaction() as session:
            now = utc_now()
            story = drafting.draft(session, copy, author_id=current_user.id, now=now)
            note_story(session, "story_drafted", story)
            _keep(session, story.id, form, edits=story.edits)
    except Invalid as error:
        return form_page(form, problems=error.problems), 422
    return _saved(story.id)


@blueprint.get(ONE)
@open_to(Access.AUTHOR)
def story(story_id: int) -> ResponseReturnValue:
    version = request.args.get("version", default=0, type=int)
    with reading() as session:
        found = get_story(session, story_id)
        if not may_change(found) or found.state is StoryState.SCHEDULED:
            revision = publishing.freeze(session, found, by=current_user.id, now=utc_now())
            return render_template("newsroom/stories/read_only.html", story=found, body=revision)
        form, brought = filled(found), None
        if version:
            brought = keeping.get_kept(session, story_id, version)
            form = replace(read(brought.form), edits=found.edits)
    return form_page(form, story_id=story_id, brought=brought)


@blueprint.post(ONE)
@open_to(Access.AUTHOR)
def redraft(story_id: int) -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return form_page(grown(form, what), story_id=story_id, added=what)
    try:
        copy = copy_of(form)
        with transaction() as session:
            found = get_own_story(session, story_id, lock=True)
            me = current_user.id
            drafting.redraft(session, found, copy, edits=form.edits, by_id=me, now=utc_now())
            _keep(session, story_id, form, edits=found.edits)
    except Invalid as error:
        return form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return overtaken_page(form, story_id), 409
    return _saved(story_id, is_public=found.state is StoryState.PUBLISHED)


@blueprint.get(f"{ONE}/preview")
@open_to(Access.AUTHOR)
def preview(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        revision = publishing.freeze(session, found, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=found, body=revision)


def _keep(session: Session, story_id: int, form: StoryForm, *, edits: int) -> None:
    me = session.get_one(Account, current_user.id)
    keeping.keep(session, story_id, flat(form), edits=edits, by=me, now=utc_now())


def _saved(story_id: int, *, is_public: bool = False) -> ResponseReturnValue:
    """On to where the button said; the text is safe."""
    if request.form.get("then") == "review":
        return _asked_for_review(story_id)
    saved = "Saved. Readers see the version from before until you publish this one."
    flash(saved if is_public else "Draft saved.", "good")
    then = NEXT.get(request.form.get("then", ""), ".story")
    if then == NEXT["publish"] and not current_user.may(RoleName.EDITOR):
        then = ".story"
    return redirect(url_for(then, story_id=story_id), 303)


def _asked_for_review(story_id: int) -> ResponseReturnValue:
    with transaction() as session:
        story = get_own_story(session, story_id, lock=True)
        me = session.get_one(Account, current_user.id)
        if reviewing.ask_for_review(session, story, by=me, now=utc_now()):
            note_story(session, "review_asked", story)
    flash("Saved, and with the editors now. You can go on writing.", "good")
    return redirect(url_for(".story", story_id=story_id), 303)


def overtaken_page(form: StoryForm, story_id: int) -> str:
    """The form again, with what was typed; saving it from here replaces what others saved."""
    with reading() as session:
        found = get_story(session, story_id)
        theirs = keeping.saved_by(session, story_id, found.edits)
    mine = replace(form, edits=found.edits)
    return form_page(mine, story_id=story_id, overtaken=found, theirs=theirs)


def form_page(form: StoryForm, **given: Any) -> str:
    """The form with what was typed. `given` says whose story it is, and what happened to it."""
    given = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **given}
    given = {"theirs": None, "brought": None, "published": None, **given}
    with reading() as session:
        seen = look(session, form, given["story_id"], now=utc_now())
        editors = bylines.knowers(session, besides=seen.story.author_id)
    if seen.saved and seen.saved.state is StoryState.PUBLISHED:
        given["published"] = seen.saved
    if given["problems"] or seen.shelf.gone:
        # What the rule says of pictures as a whole stands beside each field that is meant.
        given["problems"] = {**given["problems"], **seen.shelf.gone}
        given["problems"].pop("pictures", None)
    answers = answer_form.without_old_tick(form.answers, fingerprint(seen.story))
    return render_template(
        "newsroom/stories/form.html",
        form=replace(form, answers=answers),
        findings=seen.findings,
        sentences=seen.sentences,
        count=measuring.count_words(seen.story.lead, seen.story.sections),
        minutes=measuring.minutes,
        words=words,
        shelf=seen.shelf,
        editors=editors,
        **given,
    )
