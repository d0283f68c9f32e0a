"""Every staff page is accessible.

The pages come from the URL map. A new page is checked automatically, or fails here until it has an
example or a reason why it cannot be opened.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.app import build_app
from nif.clock import utc_now
from nif.database import Database
from nif.demo.loader import DEMO_PASSWORD
from nif.editions.digest import make_digest_of_slot
from nif.editions.schedule import Slot
from nif.imports import imports
from nif.mail.addresses import parse_address
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from nif.settings import load_settings
from nif.signups import attack_mode
from nif.signups.models import HoldReason, SignupKind
from nif.signups.requests import SignupRequest, queue_signup
from nif.stories.models import Revision, Story
from nif.stories.reader_reports import ReportKind, create_reader_report
from nif.subscribers.segments import Segment
from nif.subscriptions.models import ListMetric, MailingList
from nif.subscriptions.models import SuppressionReason as Reason
from nif.subscriptions.statistics import record_list_metrics
from nif.subscriptions.suppression_list import record_erased_address, suppress_address
from nif.web.access import STAFF_ACCESS, access_of_view
from tests.factories import HERE, a_draft, a_subscription
from tests.journeys.accessibility import violations_in_both_looks
from tests.journeys.browsing import open_context
from tests.journeys.installation import Installation

NO_PAGES = {
    "admin_audit_log.download": "a CSV file",
    "admin_analytics.download_csv": "a CSV file",
    "admin_analytics.download_json": "JSON",
    "admin_lists.next_digest.body": "a mail in a frame of its page",
    "admin_imports.show_progress": "a fragment of the import page, which is checked",
    "admin_imports.download_report": "a CSV file",
    "admin_subscribers.download_data": "JSON",
    "admin_sends.show_certificate_json": "JSON",
    "admin_sends.download_deliveries": "a CSV file",
    "admin_sends.show_progress": "a fragment of the send page, which is checked",
    "newsroom_stories.show_saved_state": "JSON",
}
EXAMPLES = {
    "picture_id": "1",
    "party_id": "1",
    "relationship_id": "1",
    "report_id": "1",
    "import_id": "1",
    "account_id": "1",
    "send_id": "1",
    "edition_id": "1",
    "subscriber_id": "1",
    "segment_id": "1",
    "slug": "daily",
}
SEGMENT = {
    "match": "all",
    "conditions": [
        {"field": "list", "operator": "confirmed", "value": "daily"},
        {"field": "joined", "operator": "since", "value": "2026-01-01"},
        {"field": "address", "operator": "contains", "value": "ann@"},
        {"field": "source", "operator": "is_not", "value": "/subscribe"},
        {"field": "suppressed", "operator": "not_because", "value": "any"},
    ],
}
PUBLISHED_ONLY = {"newsroom_publishing.compare"}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def installation(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = Path(
        shutil.copytree(demo, tmp_path_factory.mktemp("installation"), dirs_exist_ok=True)
    )
    with Installation(folder, f"sqlite:///{folder}/nif.db") as installation:
        installation.start("serve")
        yield installation


@pytest.fixture(scope="module")
def pages(installation: Installation) -> list[str]:
    """The addresses of all staff pages, with examples for their parameters."""
    url = installation.environment["NIF_DATABASE_URL"]
    settings = load_settings(
        _env_file=None,
        database_url=url,
        queue_url=installation.environment["NIF_QUEUE_URL"],
        instance_dir=installation.environment["NIF_INSTANCE_DIR"],
    )
    services = build_services(settings)
    try:
        draft_id, story_id = add_content(services.database, services)
        app = build_app(services)
        found = list(staff_page_addresses(app, draft_id, story_id))
    finally:
        services.database.close()
    assert len(found) > 25
    return found


def add_content(database: Database, services: Services) -> tuple[int, int]:
    """Add a draft, a report, a send and more to the demo. Return a draft's and a story's id."""
    now = utc_now()
    with database.transaction() as session:
        draft = a_draft(session, headline="Half a Story", lead="")
        story = session.scalars(select(Story).where(Story.current_id.is_not(None))).first()
        revision = session.get_one(Revision, story.current_id)
        create_reader_report(
            session, revision, ReportKind.ERROR, "It was £4m.", contact=None, now=now
        )
        newsletter = session.scalars(select(MailingList).where(MailingList.slug == "daily")).one()
        a_subscription(session, newsletter, "ann@example.com")
        slot = Slot((now - timedelta(days=1)).date(), now)
        edition = make_digest_of_slot(session, newsletter, slot, services.mail_writer, now=now)
        assert plan_send(session, edition, now=now) is not None
        add_import(session, newsletter, services.settings.imports)
        add_statistics(session, newsletter)
        held = SignupRequest(
            SignupKind.SUBSCRIBE,
            parse_address("bo@example.com"),
            HERE,
            newsletter.id,
            HoldReason.HONEYPOT,
        )
        queue_signup(session, held, now=now)
        attack_mode.enable_attack_mode(session, until=now + timedelta(days=1), who="Ada", now=now)
        add_suppressions(session, now)
        session.add(Segment(name="Left", conditions=SEGMENT, created_by="Ed", created_at=now))
        return draft.id, story.id


def add_statistics(session: Session, newsletter: MailingList) -> None:
    """Add enough statistics for all charts."""
    counts = {
        ListMetric.SUBSCRIBED: 20,
        ListMetric.UNSUBSCRIBED: 3,
        ListMetric.BOUNCED: 90,
        ListMetric.COMPLAINED: 3,
        ListMetric.DELIVERED: 900,
        ListMetric.IMPORTED: 100,
    }
    for number in range(30):
        at = utc_now() - timedelta(days=number)
        record_list_metrics(session, newsletter.id, counts, source="/articles/some-story", now=at)
    newsletter.confirmed_count += 30 * 117


def add_suppressions(session: Session, now: datetime) -> None:
    """Suppress addresses by a person, an import and the provider."""
    suppress_address(
        session, "ann@example.com", Reason.MANUAL, source="manual: She asked.", now=now
    )
    listed = "SendGrid's list of bounces"
    suppress_address(session, "bo@example.com", Reason.BOUNCED, source=listed, now=now)
    suppress_address(
        session, f"{'c' * 60}@example.com", Reason.COMPLAINED, source="import:1", now=now
    )
    record_erased_address(session, "di@example.com", source="test", now=now)


def add_import(session: Session, newsletter: MailingList, folder: Path) -> None:
    """Add an import whose columns are not chosen yet."""
    stored = imports.store_import_file(
        BytesIO(b"Email,Name\nbo@example.com,Bo\n"), folder, max_bytes=1000
    )
    with imports.open_import_file(folder, stored.name) as file:
        proposed = imports.detect_file_layout(file)
    imports.create_import(session, newsletter, stored, "readers.csv", proposed, now=utc_now())


def staff_page_addresses(app: Flask, draft_id: int, story_id: int) -> Iterator[str]:
    adapter = app.url_map.bind("127.0.0.1")
    for rule in app.url_map.iter_rules():
        access = access_of_view(rule.endpoint, app.view_functions[rule.endpoint])
        is_own = rule.rule.startswith("/account/") and not rule.arguments
        if "GET" not in rule.methods or rule.endpoint in NO_PAGES:
            continue
        if access not in STAFF_ACCESS and not is_own:
            continue
        examples = {name: EXAMPLES.get(name) for name in rule.arguments}
        if "story_id" in examples:
            examples["story_id"] = story_id if rule.endpoint in PUBLISHED_ONLY else draft_id
        assert None not in examples.values(), f"{rule.rule} needs an example, or a reason for none"
        numbers = {k: int(v) if str(v).isdigit() else v for k, v in examples.items()}
        yield adapter.build(rule.endpoint, numbers)


def sign_in(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.url}/login")
    page.fill("#email", "admin@example.com")
    page.fill("#password", DEMO_PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)


def test_every_staff_page_is_accessible(
    browser: Browser, installation: Installation, pages: list[str]
) -> None:
    context = open_context(browser, reduced_motion="reduce")
    page = context.new_page()
    console_errors: list[str] = []
    page.on(
        "console",
        lambda message: console_errors.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    sign_in(page, installation)
    problems: list[object] = []
    for path in pages:
        answer = page.goto(installation.url + path)
        if answer is None or answer.status != 200 or "/login" in page.url:
            problems.append((path, page.url, answer and answer.status))
            continue
        problems += [(path, *violation) for violation in violations_in_both_looks(page)]
        problems += [(path, message) for message in console_errors]
        console_errors.clear()
    context.close()
    assert problems == []
