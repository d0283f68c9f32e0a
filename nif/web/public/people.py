"""The people who make NIF, as far as their profiles are public."""

from flask import Blueprint, render_template, request

from nif.accounts import profiles
from nif.stories.queries import list_newest_stories
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.page_cache import cached_page

blueprint = Blueprint("people", __name__, url_prefix="/people")


@blueprint.get("")
@open_to(Access.PUBLIC)
@cached_page()
def index() -> str:
    with reading() as session:
        people = profiles.list_public_profiles(session)
    return render_template("public/people/index.html", people=people)


@blueprint.get("/<slug>")
@open_to(Access.PUBLIC)
@cached_page()
def show(slug: str) -> str:
    after = request.args.get("after")
    with reading() as session:
        profile, name = profiles.get_public_profile(session, slug)
        page = list_newest_stories(session, person_id=profile.account_id, after=after)
    return render_template("public/people/show.html", profile=profile, name=name, page=page)
