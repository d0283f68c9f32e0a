"""The front page, the pages of topics and people, and the pages of stories."""

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.sends.correction_sends import count_correction_reach
from nif.stories import queries as stories
from nif.stories.queries import notes_of_story
from nif.subscriptions.lists import find_default_list
from nif.web.current import links, settings
from nif.web.public.page_cache import FORM_TICKET_PLACEHOLDER, address_alone, cached_page
from nif.web.public.story_metadata import news_article, share_image, transparency_record_json

blueprint = Blueprint("stories", __name__)


@cached_page(blueprint, "/articles/<slug>")
def show(session: Session, slug: str) -> str:
    revision = stories.get_published_revision(session, slug)
    notes = notes_of_story(session, revision.story_id)
    # Cached with the page: when a send with a correction ends, the page version changes.
    counts = count_correction_reach(session, [note.id for note in notes]) if notes else {}
    return render_template(
        "public/stories/show.html",
        story=revision,
        notes=notes,
        reached=counts,
        related=stories.list_related_stories(session, revision),
        offer=find_default_list(session),
        form_ticket=FORM_TICKET_PLACEHOLDER,
        address=links().story(slug),
        record=links().transparency_record(slug),
        preview_image=share_image(revision, links()),
        structured=news_article(revision, links(), settings(), notes),
    )


@cached_page(
    blueprint, "/articles/<slug>/transparency.json", mimetype="application/json", by=address_alone
)
def show_record(session: Session, slug: str) -> str:
    revision = stories.get_published_revision(session, slug)
    return transparency_record_json(revision, links())


@cached_page(blueprint, "/")
def front_page(session: Session) -> str:
    after = request.args.get("after")
    page = stories.list_newest_stories(session, after=after)
    # Only a story in good standing is shown largest.
    standing = [story for story in page.rows if story.standing.stands]
    lead = standing[0] if standing and not after else None
    return render_template(
        "public/stories/front_page.html",
        page=page,
        lead=lead,
        others=[story for story in page.rows if story is not lead],
        offer=find_default_list(session),
        form_ticket=FORM_TICKET_PLACEHOLDER,
    )


@cached_page(blueprint, "/tags/<slug>")
def show_tag(session: Session, slug: str) -> str:
    found = stories.get_tag(session, slug)
    page = stories.list_newest_stories(session, tag=found, after=request.args.get("after"))
    return render_template("public/stories/tag.html", tag=found, page=page)


@cached_page(blueprint, "/people")
def list_people(session: Session) -> str:
    people = accounts.list_public_profiles(session)
    return render_template("public/stories/people.html", people=people)


@cached_page(blueprint, "/people/<slug>")
def show_person(session: Session, slug: str) -> str:
    after = request.args.get("after")
    profile, name = accounts.get_public_profile(session, slug)
    page = stories.list_newest_stories(session, person_id=profile.account_id, after=after)
    return render_template("public/stories/person.html", profile=profile, name=name, page=page)
