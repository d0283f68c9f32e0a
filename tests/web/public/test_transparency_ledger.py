"""The public ledger: its page, its export and its keys."""

from functools import partial

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from nif.accounts.models import RoleName
from nif.cli.ledger import record_policies
from nif.database import Database
from nif.jobs.worker import Worker
from nif.ledger import queries
from nif.ledger.chain import delete_entry_payload
from nif.ledger.models import LedgerCheckpoint, LedgerEntry
from nif.ledger.queries import verify_ledger
from nif.ledger.signatures import parse_jwks
from nif.services import Services
from nif.stories.models import Story
from nif.stories.publishing import list_live_revisions
from nif.stories.reader_reports import (
    ReportKind,
    ReportVerdict,
    answer_reader_report,
    create_reader_report,
)
from nif.web.public import transparency
from tests.conftest import NOON
from tests.factories import a_story, an_account
from tests.ledger.conftest import STORY_ID, export_of, payload, some_entries
from tests.register.entries import a_party, a_relationship

PAGE, EXPORT = "/transparency/ledger", "/transparency/ledger.jsonl"
KEYS = "/.well-known/nif-transparency-key.json"


@pytest.fixture
def signed(database: Database, services: Services) -> None:
    """Three entries and a checkpoint, as the worker makes it."""
    with database.transaction() as session:
        session.add(
            Story(
                ledger_id=STORY_ID, slug="a-story", headline="A", created_at=NOON, updated_at=NOON
            )
        )
        some_entries(session, 3)
    Worker(services).run("sign_checkpoint")


def test_an_empty_ledger_says_so(client: FlaskClient) -> None:
    page = client.get(PAGE)

    assert page.status_code == 200
    assert "There is no entry yet." in page.text
    assert client.get(EXPORT).data == b""
    assert client.get(KEYS).json == {"keys": []}


@pytest.mark.usefixtures("signed")
def test_the_page_tells_how_long_the_ledger_is_and_who_signed_it(
    client: FlaskClient, database: Database
) -> None:
    text = client.get(PAGE).text

    with database.reading() as session:
        end, checkpoint = queries.find_chain_end(session), queries.find_newest_checkpoint(session)
    assert end is not None
    assert checkpoint is not None
    for words in ("3 entries", end.root, "up to entry 3", checkpoint.key_id, EXPORT, KEYS):
        assert words in text
    assert text.count('href="/articles/a-story"') == 3
    assert text.index('id="entry-3"') < text.index('id="entry-1"')
    assert "Older entries" not in text


def test_the_page_lists_entries_newest_first_in_pages(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transparency, "ENTRIES_PER_PAGE", 2)
    with database.transaction() as session:
        some_entries(session, 5)

    first, last = client.get(PAGE).text, client.get(f"{PAGE}?after=2").text

    assert 'id="entry-4"' in first
    assert 'id="entry-3"' not in first
    assert f'href="{PAGE}?after=4"' in first
    assert last.count('id="entry-') == 1
    assert "Not signed yet" in first


@pytest.mark.parametrize("after", ["0", "-7", "x", "", str(2**70)])
def test_an_export_with_an_invalid_start_is_still_answered(
    client: FlaskClient, database: Database, after: str
) -> None:
    with database.transaction() as session:
        some_entries(session, 1)

    assert client.get(f"{EXPORT}?after={after}").status_code == 200
    assert client.get(f"{PAGE}?after={after}").status_code == (200 if after in {"", "0"} else 404)


def test_text_of_an_entry_is_never_markup(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        some_entries(session, 1)
        session.execute(update(LedgerEntry).values(story='"><script>'))

    assert "<script>" not in client.get(PAGE).text


def test_entries_about_no_story_name_their_subject(
    client: FlaskClient, database: Database, services: Services
) -> None:
    record_policies(services)
    with database.transaction() as session:
        a_relationship(session, a_party(session, "Lumen <b>Sync</b>"))
        revision = a_story(session, headline="Palisade Sells")
        made = create_reader_report(
            session, revision, ReportKind.ERROR, "My words", contact="me@x.eu", now=NOON
        )
        answer_reader_report(
            session,
            made.id,
            ReportVerdict.UPHELD,
            "Thank you",
            by=an_account(session, RoleName.EDITOR),
            now=NOON,
        )

    page, export = client.get(PAGE).text, client.get(EXPORT).text

    assert "/policies/corrections?version=1" in page
    assert "Corrections policy, version 1" in page
    assert "Relationship declared" in page
    assert "Lumen &lt;b&gt;Sync&lt;/b&gt; advertises with us." in page
    assert 'Report received: <a href="/articles/palisade-sells">' in page
    assert "Report answered, the reader was right" in page
    for private in ("My words", "me@x.eu", "Thank you"):
        assert private not in page + export
    with database.reading() as session:
        assert verify_ledger(session, partial(list_live_revisions, session)).is_whole


@pytest.mark.usefixtures("signed")
def test_the_page_says_that_the_content_of_an_entry_was_deleted(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        delete_entry_payload(session, 2)

    assert client.get(PAGE).text.count("was deleted because") == 1


@pytest.mark.usefixtures("signed")
def test_anyone_with_the_export_and_the_keys_can_verify_it(client: FlaskClient) -> None:
    export, keys = client.get(EXPORT), client.get(KEYS)

    verdict = queries.verify_export(export.data.splitlines(), parse_jwks(keys.data))

    assert export.mimetype == "application/jsonl"
    assert (verdict.is_whole, verdict.entries, verdict.signed) == (True, 3, 3)
    first = orjson.loads(export.data.splitlines()[0])
    assert (first["v"], first["payload"]) == (1, payload(1))
    assert len(first["salt"]) == 32


@pytest.mark.usefixtures("signed")
def test_the_export_can_be_limited_to_later_entries(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SLICE_SIZE", 1)

    early, later = client.get(EXPORT).data, client.get(f"{EXPORT}?after=2").data

    assert early == b"".join(export_of(database))
    assert early.endswith(later)
    assert ["size" in orjson.loads(line) for line in later.splitlines()] == [False, True]


def test_the_worker_signs_when_the_ledger_has_grown(services: Services, database: Database) -> None:
    assert Worker(services).jobs["sign_checkpoint"].seconds
    Worker(services).run("sign_checkpoint")
    with database.transaction() as session:
        assert session.get(LedgerCheckpoint, 1) is None
        some_entries(session, 1)

    for _ in range(2):
        Worker(services).run("sign_checkpoint")

    with database.reading() as session:
        assert session.get(LedgerCheckpoint, 1) is not None
