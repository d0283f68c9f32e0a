"""Who makes NIF: the people who have made their profile public."""

from flask import Blueprint, Response, render_template, request

from nif.accounts import profiling
from nif.stories.reading import by_person
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.caching import kept

blueprint = Blueprint("people", __name__, url_prefix="/people")


@blueprint.get("")
@open_to(Access.PUBLIC)
def masthead() -> Response:
    return kept(_masthead)


@blueprint.get("/<slug>")
@open_to(Access.PUBLIC)
def person(slug: str) -> Response:
    return kept(lambda: _person(slug))


def _masthead() -> str:
    with reading() as session:
        people = profiling.masthead(session)
    return render_template("public/people/masthead.html", people=people)


def _person(slug: str) -> str:
    with reading() as session:
        profile, name = profiling.get_public(session, slug)
        page = by_person(session, profile.account_id, after=request.args.get("after"))
    return render_template("public/people/person.html", profile=profile, name=name, page=page)
