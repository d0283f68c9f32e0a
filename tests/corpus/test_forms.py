"""Every form, filled with the payloads: no response fails, and typed text stays text."""

from collections.abc import Mapping
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.models import RoleName
from nif.database import Database
from nif.services import Services
from nif.subscriptions.lists import get_list
from nif.subscriptions.preferences import preferences_token
from tests.corpus import NUL, payload_batches, payloads
from tests.corpus.page_contents import find_injections, is_harmless, parse_page
from tests.corpus.sample_content import create_content
from tests.factories import a_subscription, an_import
from tests.web.newsroom.staff import signed_in, without_tokens
from tests.web.newsroom.test_stories import WHOLE
from tests.web.public.forms import ticket

STORY_TEXTS = (
    *("headline", "dek", "lead", "byline", "tags", "reason_subject", "origin_by"),
    *("relationship_sentences", "money_by", "ai_tasks", "ai_tools", "sections-0-label"),
    *("sections-0-bullets", "sources-0-publisher", "sources-0-title", "sources-0-url"),
    *("sources-0-taken", "story_type", "reason_code", "origin", "money", "ai", "block_style"),
    *("edits", "sources-0-kind", "sources-0-relied_on", "sources-0-checked", "ai_checked"),
)
STORY = {**WHOLE, **dict.fromkeys(STORY_TEXTS, "")}
PROFILE = dict.fromkeys(
    ("name", "job_title", "bio", "contact", "location", "languages", "expertise"), ""
)
RELATIONSHIP = dict.fromkeys(
    (
        *(
            "type",
            "our_side",
            "our_side_name",
            "account_id",
            "detail",
            "since",
            "until",
            "custom_sentence",
        ),
        *("lookback_months", "materiality", "amount_band", "visibility", "evidence_url"),
    ),
    "",
)
PARTY = dict.fromkeys(("name", "kind", "aliases", "domains", "same_as", "parent", "version"), "")
PICTURE = dict.fromkeys(
    ("alt", "credit", "credit_url", "licence", "licence_url", "caption", "source_type"), ""
)
NOTE = dict.fromkeys(
    (
        "kind",
        "summary",
        "text",
        "incorrect_text",
        "corrected_text",
        "cause",
        "severity",
        "first_wrong_n",
    ),
    "",
)
LIST_SETTINGS = dict.fromkeys(
    (
        *("title", "description", "sender_name", "language", "topics", "family", "is_shown"),
        *("frequency", "at", "zone", "version"),
    ),
    "",
)
STORED_FORMS: Mapping[str, Mapping[str, str]] = {
    "/newsroom/stories/new": {**WHOLE, **dict.fromkeys(STORY_TEXTS[:8], "")},
    "/newsroom/stories/autosave": {**WHOLE, **dict.fromkeys(STORY_TEXTS[:8], "")},
    "/newsroom/stories/1/revise": {**NOTE, "kind": "update", "seen_n": "2", "first_wrong_n": "1"},
    "/newsroom/stories/3/send-back": {"remark": ""},
    "/newsroom/stories/3/override": {"code": "G11", "reason": ""},
    "/newsroom/reports/2": {"verdict": "not_upheld", "answer": ""},
    "/newsroom/register/new": {"name": "", "kind": "company", "aliases": "", "version": "0"},
    "/newsroom/register/1/relationships/new": {
        **{"type": "advertiser", "our_side": "nif", "since": "2020-01-01", "amount_band": "none"},
        **{"custom_sentence": "", "detail": "", "our_side_name": ""},
    },
    "/newsroom/pictures/1": {**PICTURE, "source_type": "capture", "edits": "0"}
    | dict.fromkeys(("credit_url", "licence_url"), "https://example.com/"),
    "/account/profile": {**PROFILE, "is_public": "1"},
    "/admin/lists/new": {
        **{"title": "", "description": "", "slug": "s-{n}", "sender_name": ""},
        **{"frequency": "daily", "at": "07:30", "zone": "Europe/London"},
    },
    "/admin/segments/new": {
        **{"name": "n{n}", "match": "all", "what-0": "source.is", "value-0": ""}
    },
    "/admin/subscribers/1/suppress": {"reason": ""},
    "/admin/suppressions/add": {"addresses": "p{n}@example.com", "reason": ""},
    "/admin/team": {"email": "p{n}@example.com", "name": "", "role": "editor"},
    "/articles/said-1/report": {"kind": "error", "text": "", "email": ""},
}
"""Forms whose texts are stored, filled with payloads that could break a database or a format.

How stored texts are displayed is tested in test_escaping."""

_number = count(1)
FORMS: Mapping[str, Mapping[str, str]] = {
    "/newsroom/stories/new": STORY,
    "/newsroom/stories/1": STORY,
    "/newsroom/preview": STORY,
    "/newsroom/stories/1/merge": STORY,
    "/newsroom/stories/1/revise": NOTE,
    "/newsroom/stories/2/send-back": {"remark": ""},
    "/newsroom/stories/2/override": {"code": "", "reason": ""},
    "/newsroom/stories/2/schedule": {"publish_at": "", "edits": ""},
    "/newsroom/reports/2": {"verdict": "", "answer": ""},
    "/newsroom/register/new": PARTY,
    "/newsroom/register/1/edit": PARTY,
    "/newsroom/register/1/merge": {"into": ""},
    "/newsroom/register/1/relationships/new": RELATIONSHIP,
    "/newsroom/register/relationships/1": RELATIONSHIP,
    "/newsroom/register/relationships/1/end": {"ended": ""},
    "/newsroom/pictures/1": PICTURE,
    "/account/profile": PROFILE,
    "/admin/lists/list-1/inactive/repermission": dict.fromkeys(
        ("months", "wait_days", "per_hour", "expected_count"), ""
    ),
    "/admin/lists/list-1/inactive/unsubscribe": {"expected_count": ""},
    "/admin/lists/list-1/import/1/repermission": {"per_hour": ""},
    "/admin/subscribers/1/suppress": {"reason": ""},
    "/admin/segments/new": {"name": "", "match": "", "what-0": "address.contains", "value-0": ""}
    | {"what-1": "list.unsubscribed", "value-1": "", "what-2": "joined.since", "value-2": ""}
    | {"what-3": "source.is", "value-3": "", "what-4": "suppressed.because", "value-4": ""},
    "/admin/lists/new": {"slug": "", **LIST_SETTINGS},
    "/admin/lists/list-1/edit": LIST_SETTINGS,
    "/embed/list-1": {"email": ""},
    "/admin/suppressions/add": {"addresses": "", "reason": ""},
    "/admin/suppressions/lift": {"address": ""},
    "/admin/team": {"email": "", "name": "", "role": ""},
    "/articles/said-1/report": {"kind": "", "text": "", "email": ""},
    "/subscribe": {"email": "", "list": "", "key": ""},
    "/preferences": {"email": ""},
    "/admin/sign-ups/release": {"reason": "", "id": ""},
    "/admin/sign-ups/discard": {"reason": "", "id": ""},
    "/admin/sign-ups/attack-mode": {"mode": "", "hours": ""},
    "/preferences/{own}/address": {"email": ""},
    "/preferences/{own}/pause": {"until": ""},
    "/login": {"email": "", "password": ""},
    "/reset": {"email": ""},
}
SEARCHES = (
    *("/newsroom/?q=", "/newsroom/?author=", "/newsroom/?state=", "/newsroom/?before="),
    *("/newsroom/register/?q=", "/newsroom/register/?after=", "/newsroom/pictures/?q="),
    *(
        "/newsroom/reports?after=",
        "/admin/audit-log?action=",
        "/admin/audit-log?before=",
        "/?before=",
    ),
    *("/relationships?after=", "/corrections?before=", "/newsroom/stories/1/revise?report="),
    *("/admin/sends/1/deliveries?after=", "/transparency/ledger?before=", "/subscribe?list="),
    *("/admin/subscribers?part=", "/admin/subscribers?source=", "/admin/subscribers?since="),
    *("/admin/subscribers?list=", "/admin/subscribers?after=", "/admin/segments/new?what-0="),
    *(
        "/admin/lists/list-1/inactive/repermission?months=",
        "/admin/lists/list-1/inactive/repermission?per_hour=",
    ),
    *("/admin/sign-ups?why=", "/admin/sign-ups?before="),
    *("/admin/suppressions?begins=", "/admin/suppressions?reason="),
    *("/admin/suppressions?after=", "/login?next="),
    *("/tags/x?before=", "/articles/said-1/history?before="),
)


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    with database.transaction() as session:
        create_content(session, "An innocent set", ["innocent"], number=1)
        a_subscription(session, get_list(session, "list-1"))
        an_import(session, get_list(session, "list-1"), "brought@example.com")
    return signed_in(without_tokens(app), database, RoleName.ADMIN)


def filled(fields: Mapping[str, str], text: str, services: Services) -> dict[str, str]:
    """A form with `text` in every field without a fixed value."""
    given = {name: value.format(n=next(_number)) or text for name, value in fields.items()}
    return {**given, "ticket": ticket(services)}


def test_hostile_text_fails_no_form_and_is_shown_again_as_text(
    admin: FlaskClient, services: Services
) -> None:
    own = preferences_token(1, services.tokens)
    for path, fields in ((form.replace("{own}", own), FORMS[form]) for form in FORMS):
        like = parse_page(admin.post(path, data=filled(fields, "x" * 2500, services)).text)
        for text in (NUL, *payload_batches(2500)):
            answer = admin.post(path, data=filled(fields, text, services))
            assert (path, answer.status_code < 500) == (path, True), text
            assert not any(set("\r\n\0") & set(f"{k}{v}") for k, v in answer.headers), path
            if answer.status_code == 422 and answer.mimetype == "text/html":
                found = find_injections(parse_page(answer.text), like, like.shapes)
                assert (path, found) == (path, [])


def test_hostile_text_is_stored_or_refused_without_an_error(
    admin: FlaskClient, services: Services
) -> None:
    odd = [one for one in payloads() if not one.isprintable() or "\\" in one or "%" in one]
    for path, fields in STORED_FORMS.items():
        for text in (NUL, *payload_batches(95, of=odd)):
            answer = admin.post(path, data=filled(fields, text, services))
            assert (path, answer.status_code < 500) == (path, True), text


def test_searching_for_hostile_text_never_fails(admin: FlaskClient) -> None:
    for path in SEARCHES:
        like = parse_page(admin.get(path).text)
        name = path.partition("?")[2].rstrip("=")
        for text in (NUL, *payload_batches(1900)):
            answer = admin.get(path.partition("?")[0], query_string={name: text})
            assert (path, answer.status_code < 500) == (path, True), text
            assert is_harmless(answer.headers.get("Location", "")), (path, text)
            if answer.status_code == 200:
                page = parse_page(answer.text)
                assert [one for one in page.addresses if not is_harmless(one[2])] == []
                assert page.active["script"] <= like.active["script"] + 1


def test_an_invalid_address_is_refused_as_a_source(admin: FlaskClient) -> None:
    """Each payload has a source of its own, so that an accepted one is identified."""
    for start in range(0, len(payloads()), 30):
        some = payloads()[start : start + 30]
        rows = {f"sources-{n}-kind": "publication" for n, _ in enumerate(some)}
        rows |= {f"sources-{n}-url": text for n, text in enumerate(some)}
        page = admin.post("/newsroom/stories/new", data={**WHOLE, **rows}).text
        for n, text in enumerate(some):
            refused = f'id="sources-{n}-url-problem"' in page
            assert refused or not text.strip() or is_harmless(text), text
