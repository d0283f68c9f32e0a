"""How many modules one has to open to follow one thing that NIF does, measured by a profiler.

A module counts when one of its functions is called on the way. The shared plumbing does not: what
every request, transaction or mail goes through, and `models.py`, which declares tables.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

import nif
from nif.accounts.models import RoleName
from nif.database import Database
from nif.jobs.worker import Worker
from nif.sends.certificates import count_deliveries
from nif.sends.delivery import deliver_send
from nif.sends.models import Send
from nif.services import Services
from nif.stories.models import StoryState
from nif.subscriptions.models import Subscription, SubscriptionState
from tests.conftest import NOON
from tests.factories import a_list, a_story, a_subscription
from tests.web.admin.test_imports import CHOICES
from tests.web.newsroom.staff import signed_in, without_tokens
from tests.web.newsroom.test_stories import saved, the_story
from tests.web.public.forms import link_in, queued_emails, subscribe

ROOT = Path(nif.__file__).parent
PLUMBING = {
    "web/access.py",
    "web/current.py",
    "web/errors.py",
    "web/files.py",
    "web/filters.py",
    "web/forms.py",
    "web/login.py",
    "web/routes.py",
    "web/second_factors.py",
    "web/security.py",
    "web/staff_actions.py",
    "web/public/page_cache.py",
    "accounts/accounts.py",
    "accounts/audit_log.py",
    "mail/message.py",
}
"""Besides these: every module directly in `nif/`, such as `database.py`, and every `models.py`."""


@contextmanager
def opened_modules() -> Iterator[set[str]]:
    """The modules of NIF, as paths in `nif/`, whose functions are called inside the block."""
    opened: set[str] = set()
    called: set[str] = set()

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    sys.setprofile(watch)
    threading.setprofile(watch)
    try:
        yield opened
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        paths = (Path(name) for name in called)
        opened.update(str(path.relative_to(ROOT)) for path in paths if path.is_relative_to(ROOT))


def to_follow(opened: set[str]) -> list[str]:
    return sorted(
        name
        for name in opened
        if "/" in name and name not in PLUMBING and not name.endswith("models.py")
    )


def test_publishing_a_story_opens_few_modules(app: Flask, database: Database) -> None:
    editor = signed_in(without_tokens(app), database, RoleName.EDITOR)
    address = saved(editor)

    with opened_modules() as opened:
        editor.post(f"{address}/publish", data={"edits": "0"})

    assert the_story(database).state is StoryState.PUBLISHED
    assert len(to_follow(opened)) <= 20, to_follow(opened)


def test_importing_a_file_opens_few_modules(
    app: Flask, services: Services, database: Database
) -> None:
    """As an admin does: upload, map the columns, check the file, import it."""
    with database.transaction() as session:
        a_list(session)
    admin = signed_in(without_tokens(app), database, RoleName.ADMIN)
    file = BytesIO(b"email,status\nann@example.com,confirmed\nno address,\n")
    worker = Worker(services)

    with opened_modules() as opened:
        at = admin.post("/admin/lists/daily/import", data={"file": (file, "f.csv")}).location
        admin.get(at)
        admin.post(at, data={**CHOICES, "check": "1"})
        worker.run("run_imports")
        admin.post(f"{at}/start")
        worker.run("run_imports")
        page = admin.get(at).text

    assert "What happened" in page
    assert len(to_follow(opened)) <= 26, to_follow(opened)


def test_making_and_delivering_a_digest_opens_few_modules(
    services: Services, database: Database
) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session))
        a_story(session)
    worker, moment = Worker(services), NOON.replace(day=21)
    context = replace(services.delivery_context, clock=lambda: moment)

    with opened_modules() as opened:
        made = worker.make_digests_until(moment)
        with database.reading() as session:
            send_id = session.scalars(select(Send.id)).one()
        deliver_send(context, send_id)

    assert [slot["audience"] for slot in made if slot["state"] == "frozen"] == [1]
    with database.reading() as session:
        send = session.get_one(Send, send_id)
        assert count_deliveries(session, send).accepted == 1
    assert len(to_follow(opened)) <= 20, to_follow(opened)


def test_subscribing_opens_few_modules(
    client: FlaskClient, services: Services, session: Session, database: Database
) -> None:
    with database.transaction() as setup:
        a_list(setup)

    with opened_modules() as opened:
        subscribe(client, services, "ann@example.com")
        client.post(link_in(queued_emails(session)[0], "confirm"))

    assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]
    assert len(to_follow(opened)) <= 16, to_follow(opened)
