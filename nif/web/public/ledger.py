"""The public ledger: for people, for programs, and the keys that it is signed with."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from nif.database import Database
from nif.ledger import reading as chain
from nif.ledger.hashing import moment_in_words
from nif.ledger.models import Kind
from nif.ledger.signing import as_jwk
from nif.web.access import Access, open_to
from nif.web.current import links, parts, reading

blueprint = Blueprint("ledger", __name__)

LARGEST = 2**63 - 1
ENTRIES_A_PAGE = 50


@blueprint.get("/transparency/ledger")
@open_to(Access.PUBLIC)
def ledger() -> ResponseReturnValue:
    before = request.args.get("before", type=int)
    if before is not None:
        before = min(max(before, 1), LARGEST)
    with reading() as session:
        rows = chain.newest(session, before=before, most=ENTRIES_A_PAGE + 1)
        entries = rows[:ENTRIES_A_PAGE]
        return render_template(
            "public/ledger/ledger.html",
            end=chain.find_end(session),
            checkpoint=chain.find_checkpoint(session),
            entries=[(entry, told(entry)) for entry in entries],
            older=entries[-1].seq if len(rows) > ENTRIES_A_PAGE else None,
            is_later=before is not None,
        )


@blueprint.get("/transparency/ledger.jsonl")
@open_to(Access.PUBLIC)
def export() -> ResponseReturnValue:
    after = min(max(request.args.get("after", 0, type=int), 0), LARGEST)
    return Response(_lines(parts().database, after), mimetype="application/jsonl")


@blueprint.get("/.well-known/nif-transparency-key.json")
@open_to(Access.PUBLIC)
def keys() -> ResponseReturnValue:
    with reading() as session:
        known = chain.all_keys(session)
    response = jsonify(
        keys=[
            {**as_jwk(key.key_id, key.public_key), "since": moment_in_words(key.since)}
            for key in known
        ]
    )
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


RELATIONSHIPS = {
    "added": "Relationship declared",
    "changed": "Relationship changed",
    "ended": "Relationship ended",
    "withdrawn": "Relationship taken off the public list",
}
REPORTS = {"received": "Report received", "answered": "Report answered"}
VERDICTS = {
    "upheld": "the reader was right",
    "partly": "the reader was right in part",
    "not_upheld": "the story stands",
    "duplicate": "it was known already",
}


@dataclass(frozen=True)
class Told:
    """What an entry says to people: what was done, about what, and where that can be read."""

    act: str
    about: str = ""
    link: str = ""


def told(entry: chain.Row) -> Told:
    """An entry in words; one that says nothing we know is called by its kind."""
    said = {name: str(value) for name, value in entry.said.items()}
    if entry.kind == Kind.RELATIONSHIP and said:
        act = RELATIONSHIPS.get(said.get("act", ""), "Relationship")
        return Told(act, said.get("sentence", ""), "/relationships")
    if entry.kind == Kind.POLICY and said:
        slug, version = said.get("policy", ""), said.get("version", "")
        link = f"{links().policy(quote(slug, safe=''))}?{urlencode({'version': version})}"
        return Told("Policy", f"{said.get('title', slug)}, version {version}", link)
    act = entry.kind.replace("_", " ").capitalize()
    if entry.kind == Kind.REPORT and said:
        act = REPORTS.get(said.get("act", ""), act)
        if verdict := VERDICTS.get(said.get("verdict", "")):
            act = f"{act}, {verdict}"
    about = f"{entry.story}, revision {entry.revision}" if entry.revision else entry.story or ""
    return Told(act, about, f"/articles/{quote(entry.story, safe='')}" if entry.story else "")


def _lines(database: Database, after: int) -> Iterator[bytes]:
    """Read while it is sent, a stretch at a time: a slow reader holds no connection.

    The ledger only grows, so this is as good as a look at one moment.
    """
    is_last = False
    while not is_last:
        with database.reading() as session:
            part = chain.stretch(session, after=after)
        yield b"".join(map(chain.in_json, part.in_order()))
        is_last = part.is_last
        after = part.lines[-1].seq if part.lines else after
