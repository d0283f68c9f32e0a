"""The public ledger: for people, for programs, and the keys that it is signed with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger import queries
from nif.ledger.models import LedgerEntryKind
from nif.ledger.payloads import format_ledger_time
from nif.ledger.signatures import as_jwk
from nif.stories.publishing import map_slugs_by_ledger_id
from nif.web.access import Access, open_to, page_view
from nif.web.current import links, services

blueprint = Blueprint("ledger", __name__)

MAX_SEQ = 2**63 - 1
ENTRIES_PER_PAGE = 50


@page_view(blueprint, Access.PUBLIC, "/transparency/ledger")
def index(session: Session) -> str:
    after = request.args.get("after")
    page = queries.list_newest_entries(session, after=after, size=ENTRIES_PER_PAGE)
    slugs = map_slugs_by_ledger_id(session, {each.story for each in page.rows if each.story})
    return render_template(
        "public/ledger/index.html",
        end=queries.find_chain_end(session),
        checkpoint=queries.find_newest_checkpoint(session),
        entries=[(entry, describe_entry(entry, slugs)) for entry in page.rows],
        page=page,
        is_later=bool(after),
    )


@blueprint.get("/transparency/ledger.jsonl")
@open_to(Access.PUBLIC)
def download() -> ResponseReturnValue:
    after = min(max(request.args.get("after", 0, type=int), 0), MAX_SEQ)
    return Response(_stream_lines(services().database, after), mimetype="application/jsonl")


@page_view(blueprint, Access.PUBLIC, "/.well-known/nif-transparency-key.json")
def show_keys(session: Session) -> ResponseReturnValue:
    known = queries.list_ledger_keys(session)
    response = jsonify(
        keys=[
            {**as_jwk(key.key_id, key.public_key), "since": format_ledger_time(key.since)}
            for key in known
        ]
    )
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


RELATIONSHIP_ACTIONS = {
    "added": "Relationship declared",
    "changed": "Relationship changed",
    "ended": "Relationship ended",
    "withdrawn": "Relationship taken off the public list",
}
REPORT_ACTIONS = {"received": "Report received", "answered": "Report answered"}
VERDICTS = {
    "upheld": "the reader was right",
    "partly": "the reader was right in part",
    "not_upheld": "the story stands",
    "duplicate": "it was known already",
}


@dataclass(frozen=True)
class LedgerEntryText:
    """An entry for people: what was done, about what, and where that can be read."""

    action: str
    about: str = ""
    link: str = ""


def describe_entry(entry: queries.LedgerRow, slugs: Mapping[str, str]) -> LedgerEntryText:
    """An entry in words; one without known words is called by its kind.

    `slugs` maps the ids by which the ledger names stories to their slugs. A story that is not
    among them is called by its id, without a link.
    """
    payload = {name: str(value) for name, value in entry.payload.items()}
    if entry.kind == LedgerEntryKind.RELATIONSHIP and payload:
        action = RELATIONSHIP_ACTIONS.get(payload.get("action", ""), "Relationship")
        return LedgerEntryText(action, payload.get("sentence", ""), "/relationships")
    if entry.kind == LedgerEntryKind.POLICY and payload:
        slug, version = payload.get("policy", ""), payload.get("version", "")
        link = f"{links().policy(quote(slug, safe=''))}?{urlencode({'version': version})}"
        return LedgerEntryText("Policy", f"{payload.get('title', slug)}, version {version}", link)
    action = entry.kind.replace("_", " ").capitalize()
    if entry.kind == LedgerEntryKind.REPORT and payload:
        action = REPORT_ACTIONS.get(payload.get("action", ""), action)
        if verdict := VERDICTS.get(payload.get("verdict", "")):
            action = f"{action}, {verdict}"
    if not entry.story:
        return LedgerEntryText(action)
    slug = slugs.get(entry.story, "")
    about = slug or f"story {entry.story}"
    if entry.revision:
        about = f"{about}, revision {entry.revision}"
    return LedgerEntryText(action, about, f"/articles/{quote(slug, safe='')}" if slug else "")


def _stream_lines(database: Database, after: int) -> Iterator[bytes]:
    """Read a slice at a time while sending, so that a slow client holds no connection.

    The ledger only grows, so this equals a snapshot.
    """
    is_last = False
    while not is_last:
        with database.reading() as session:
            part = queries.load_ledger_slice(session, after=after)
        yield b"".join(map(queries.encode_export_line, part.in_order()))
        is_last = part.is_last
        after = part.entries[-1].seq if part.entries else after
