"""The manifesto and the policies, as they are and as they were."""

from flask import Blueprint, Response, current_app, render_template, request
from markupsafe import Markup

from nif.errors import NotFound
from nif.web.access import Access, open_to
from nif.web.current import links
from nif.web.public.caching import kept
from nif.web.public.crawlers import AS_OF, TRAINING
from nif.web.public.policy_texts import MANIFESTO, POLICIES, Text

blueprint = Blueprint("policies", __name__)


@blueprint.get("/manifesto")
@open_to(Access.PUBLIC)
def manifesto() -> Response:
    return _policy(MANIFESTO)


@blueprint.get("/policies/")
@open_to(Access.PUBLIC)
def index() -> Response:
    return kept(_index, by="")


@blueprint.get("/policies/<slug>")
@open_to(Access.PUBLIC)
def policy(slug: str) -> Response:
    if slug == MANIFESTO:
        raise NotFound("The manifesto stands at /manifesto.")
    return _policy(slug)


def _index() -> str:
    newest = {slug: versions[0] for slug, versions in POLICIES.items()}
    return render_template("public/policies/index.html", policies=newest, links=links())


def _policy(slug: str) -> Response:
    wanted = request.args.get("version", "")
    text = _find(slug, wanted)
    return kept(lambda: _page(slug, text), by=str(text.version))


def _find(slug: str, version: str) -> Text:
    """The version asked for, or the one in force. Raises NotFound."""
    for text in POLICIES.get(slug, ()):
        if version in {"", str(text.version)}:
            return text
    raise NotFound("There is no such policy." if not version else "There is no such version.")


def _page(slug: str, text: Text) -> str:
    template = current_app.jinja_env.from_string(text.body)
    body = Markup(template.render(training=TRAINING, crawlers_as_of=AS_OF))  # noqa: S704  (ours)
    return render_template(
        "public/policies/policy.html",
        text=text,
        body=body,
        versions=POLICIES[slug],
        address=links().policy(slug),
    )
