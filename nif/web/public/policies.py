"""The manifesto and the policies, with all their versions.

A text lies in `templates/public/policies/texts/<slug>/<version>.html`: a few lines of TOML, a line
`+++`, and the text as a template. A new version is a new file with the next number; nobody
changes an old one.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from flask import Blueprint, current_app, render_template, request
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.ledger.chain import PolicyVersion
from nif.settings import PROJECT
from nif.web.current import links
from nif.web.public.page_cache import address_alone, cached_page

MANIFESTO = "manifesto"
POLICY_FILES = PROJECT / "templates" / "public" / "policies" / "texts"
HEAD_SEPARATOR = "\n+++\n"


def read_policies(folder: Path) -> Mapping[str, Sequence[PolicyVersion]]:
    """The versions of each policy by slug, the manifesto first, the newest version first."""
    return {
        path.name: sorted(map(_read_text, path.iterdir()), key=lambda text: -text.version)
        for path in sorted(folder.iterdir(), key=lambda path: (path.name != MANIFESTO, path.name))
        if path.is_dir()
    }


def ledger_policies(policies: Mapping[str, Sequence[PolicyVersion]]) -> list[PolicyVersion]:
    """Every version of every policy, in the order in which they came into force."""
    versions = [version for versions in policies.values() for version in reversed(versions)]
    return sorted(versions, key=lambda policy: policy.effective_from)


def _read_text(path: Path) -> PolicyVersion:
    head, _, body = path.read_text(encoding="utf-8").partition(HEAD_SEPARATOR)
    slug, version = path.parent.name, int(path.stem)
    return PolicyVersion(slug, version, text=body, **tomllib.loads(head))


POLICIES = read_policies(POLICY_FILES)

TRAINING_CRAWLERS = (
    "GPTBot",
    "ClaudeBot",
    "CCBot",
    "Google-Extended",
    "Applebot-Extended",
    "meta-externalagent",
    "Bytespider",
    "Amazonbot",
)
"""The crawlers that gather texts to train AI with. NIF asks them not to, and says so in one place.
Those that fetch a page because a person asked for it are not among them."""

CRAWLERS_AS_OF = date(2026, 11, 22)
"""Crawlers change their names, so the policy tells readers the date of this list."""

blueprint = Blueprint("policies", __name__)


def _asked_version() -> str:
    return request.args.get("version", "")


@cached_page(blueprint, "/policies/", by=address_alone)
def index(_session: Session) -> str:
    newest = {slug: versions[0] for slug, versions in POLICIES.items()}
    return render_template("public/policies/index.html", policies=newest, links=links())


@cached_page(blueprint, "/manifesto", by=_asked_version)
def show_manifesto(_session: Session) -> str:
    return _render_policy(MANIFESTO)


@cached_page(blueprint, "/policies/<slug>", by=_asked_version)
def show(_session: Session, slug: str) -> str:
    if slug == MANIFESTO:
        raise NotFound("The manifesto stands at /manifesto.")
    return _render_policy(slug)


def _render_policy(slug: str) -> str:
    """The requested version, or the one in force. Raises NotFound."""
    version = _asked_version()
    texts = [text for text in POLICIES.get(slug, ()) if version in {"", str(text.version)}]
    if not texts:
        raise NotFound("There is no such version." if version else "There is no such policy.")
    template = current_app.jinja_env.from_string(texts[0].text)
    body = Markup(template.render(training=TRAINING_CRAWLERS, crawlers_as_of=CRAWLERS_AS_OF))  # noqa: S704  (ours)
    return render_template(
        "public/policies/show.html",
        text=texts[0],
        body=body,
        versions=POLICIES[slug],
        address=links().policy(slug),
    )
