"""Every page of the newsroom and of the admin desk is open to everyone.

The pages are those of the map of addresses: a new one is looked at, or fails here until it has an
example, or a reason why it cannot be opened.
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

from nif.app import join
from nif.audience.models import Segment
from nif.clock import utc_now
from nif.database import Database
from nif.demo.loading import PASSWORD
from nif.editions.composing import keep_slot
from nif.editions.scheduling import Slot
from nif.importing import keeping, steering
from nif.parts import Parts, assemble
from nif.sends.planning import plan
from nif.settings import load_settings
from nif.signups import watching
from nif.signups.models import Door, Why
from nif.signups.taking import Wish, take
from nif.stories.models import Revision, Story
from nif.stories.reporting import ReportKind, report
from nif.subscriptions.addresses import read_address
from nif.subscriptions.counting import happened
from nif.subscriptions.days import Happening
from nif.subscriptions.forgetting import remember_erased
from nif.subscriptions.models import MailingList
from nif.subscriptions.models import SuppressionReason as Reason
from nif.subscriptions.suppressing import suppress
from nif.web.access import STAFF, access_of
from tests.factories import HERE, a_draft, a_subscription
from tests.journeys.house import House
from tests.journeys.open_to_all import obstacles

NO_PAGES = {
    "admin_audit.download": "a file of commas",
    "admin_figures.files.growth": "a file of commas",
    "admin_figures.files.where_from": "a file of commas",
    "admin_figures.files.health": "a file of commas",
    "admin_figures.files.editions": "a file of commas",
    "admin_figures.files.everything": "JSON",
    "admin_lists.previews.body": "the mail by itself, in a frame of its page",
    "imports.progress": "a part of the page of an import, which is looked at",
    "imports.exports.report": "a file of commas",
    "admin_subscribers.erasing.everything": "JSON",
    "admin_sends.certificates.certificate_as_json": "JSON",
    "admin_sends.certificates.people_as_csv": "a file of commas",
    "admin_sends.progress_only": "a part of the page of a send, which is looked at",
    "newsroom_autosaving.look": "JSON",
}
EXAMPLES = {
    "picture_id": "1",
    "party_id": "1",
    "relationship_id": "1",
    "report_id": "1",
    "run_id": "1",
    "account_id": "1",
    "send_id": "1",
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
PUBLISHED_ONLY = {"newsroom_revising.look"}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def house(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = Path(shutil.copytree(demo, tmp_path_factory.mktemp("house"), dirs_exist_ok=True))
    with House(folder, f"sqlite:///{folder}/nif.db") as house:
        house.start("serve")
        yield house


@pytest.fixture(scope="module")
def pages(house: House) -> list[str]:
    """The addresses of all pages for staff, with examples in place of their parameters."""
    url = house.environment["NIF_DATABASE_URL"]
    settings = load_settings(
        _env_file=None,
        database_url=url,
        queue_url=house.environment["NIF_QUEUE_URL"],
        instance_dir=house.environment["NIF_INSTANCE_DIR"],
    )
    parts = assemble(settings)
    try:
        draft_id, story_id = something_everywhere(parts.database, parts)
        app = join(parts)
        found = list(addresses(app, draft_id, story_id))
    finally:
        parts.database.close()
    assert len(found) > 25
    return found


def something_everywhere(database: Database, parts: Parts) -> tuple[int, int]:
    """A draft, a report and a send besides what the demo has; the ids of a draft and a story."""
    now = utc_now()
    with database.transaction() as session:
        draft = a_draft(session, headline="Half a Story", lead="")
        story = session.scalars(select(Story).where(Story.current_id.is_not(None))).first()
        revision = session.get_one(Revision, story.current_id)
        report(session, revision, ReportKind.ERROR, "It was £4m.", contact=None, now=now)
        newsletter = session.scalars(select(MailingList).where(MailingList.slug == "daily")).one()
        a_subscription(session, newsletter, "ann@example.com")
        slot = Slot((now - timedelta(days=1)).date(), now)
        edition = keep_slot(session, newsletter, slot, parts.desk, now=now)
        assert plan(session, edition, now=now) is not None
        bring_a_file(session, newsletter, parts.settings.imports)
        a_busy_month(session, newsletter)
        held = Wish(Door.JOIN, read_address("bo@example.com"), HERE, newsletter.id, Why.TRAP)
        take(session, held, now=now)
        watching.switch_on(session, until=now + timedelta(days=1), who="Ada", now=now)
        some_suppressed(session, now)
        session.add(Segment(name="Left", conditions=SEGMENT, made_by="Ed", at=now))
        return draft.id, story.id


def a_busy_month(session: Session, newsletter: MailingList) -> None:
    """Enough of everything that all charts have something to draw."""
    counts = {
        Happening.JOINED: 20,
        Happening.LEFT: 3,
        Happening.BOUNCED: 90,
        Happening.COMPLAINED: 3,
        Happening.DELIVERED: 900,
        Happening.IMPORTED: 100,
    }
    for number in range(30):
        at = utc_now() - timedelta(days=number)
        happened(session, newsletter.id, counts, source="/articles/some-story", now=at)
    newsletter.confirmed_count += 30 * 117


def some_suppressed(session: Session, now: datetime) -> None:
    """A subscriber and others, by a person, by an import and by the provider."""
    suppress(session, "ann@example.com", Reason.MANUAL, source="by hand: She asked.", now=now)
    listed = "SendGrid's list of bounces"
    suppress(session, "bo@example.com", Reason.BOUNCED, source=listed, now=now)
    suppress(session, f"{'c' * 60}@example.com", Reason.COMPLAINED, source="import:1", now=now)
    remember_erased(session, "di@example.com", source="test", now=now)


def bring_a_file(session: Session, newsletter: MailingList, folder: Path) -> None:
    """An import whose columns are still to be chosen."""
    stored = keeping.keep(BytesIO(b"Email,Name\nbo@example.com,Bo\n"), folder, most=1000)
    with keeping.opened(folder, stored.name) as file:
        proposed = steering.propose_form(file)
    steering.begin(session, newsletter, stored, "readers.csv", proposed, now=utc_now())


def addresses(app: Flask, draft_id: int, story_id: int) -> Iterator[str]:
    adapter = app.url_map.bind("127.0.0.1")
    for rule in app.url_map.iter_rules():
        access = access_of(rule.endpoint, app.view_functions[rule.endpoint])
        is_own = rule.rule.startswith("/account/") and not rule.arguments
        if "GET" not in rule.methods or rule.endpoint in NO_PAGES:
            continue
        if access not in STAFF and not is_own:
            continue
        examples = {name: EXAMPLES.get(name) for name in rule.arguments}
        if "story_id" in examples:
            examples["story_id"] = story_id if rule.endpoint in PUBLISHED_ONLY else draft_id
        assert None not in examples.values(), f"{rule.rule} needs an example, or a reason for none"
        numbers = {k: int(v) if str(v).isdigit() else v for k, v in examples.items()}
        yield adapter.build(rule.endpoint, numbers)


def signed_in(page: Page, house: House) -> None:
    page.goto(f"{house.url}/login")
    page.fill("#email", "admin@example.com")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_every_page_of_the_staff_is_open_to_everyone(
    browser: Browser, house: House, pages: list[str], width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    signed_in(page, house)
    trouble: list[object] = []
    for path in pages:
        answer = page.goto(house.url + path)
        if answer is None or answer.status != 200 or "/login" in page.url:
            trouble.append((path, page.url, answer and answer.status))
            continue
        trouble += [(path, *one) for one in obstacles(page)]
        trouble += [(path, one) for one in said]
        said.clear()
    context.close()
    assert trouble == []
