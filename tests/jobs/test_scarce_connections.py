"""PostgreSQL with ten connections, which other processes use up."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import orjson
import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from nif import schema
from nif.app import build_app
from nif.database import Database
from nif.jobs import backoff
from nif.jobs.backoff import ConnectionBackoff, is_without_connection
from nif.jobs.worker import Worker
from nif.sends.models import ProviderEventPost
from nif.services import Services, build_services
from nif.settings import load_settings
from tests import postgres
from tests.clocks import Clocks
from tests.jobs.log_lines import LogLines
from tests.standin.signing import Signer

CONNECTIONS = 10
EVENTS = orjson.dumps([{"sg_event_id": "e1", "event": "delivered", "timestamp": 1}])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if os.environ.get("NIF_TEST_ON") == "sqlite":
        pytest.skip("SQLite has no connections that could be used up")
    try:
        own = postgres.start(connections=CONNECTIONS)
    except postgres.Unavailable as problem:
        pytest.skip(str(problem))
    try:
        yield own.create_database(f"{postgres.PREFIX}scarce")
    finally:
        own.stop()


@pytest.fixture
def scarce(address: str, tmp_path: Path) -> Iterator[Services]:
    """The services of a web process that has just started."""
    found = build_services(
        load_settings(
            _env_file=None,
            env="testing",
            instance_dir=tmp_path,
            database_url=address,
            database_connections=5,
            queue_url=str(tmp_path / "queue.db"),
        )
    )
    schema.upgrade_schema(found.database)
    found.database.close()
    found.database.keep_connection_for_events()
    yield found
    found.database.close()


def use_up(address: str, open_ones: ExitStack) -> int:
    """Open connections until the server refuses one; returns how many."""
    for count in range(CONNECTIONS + 1):
        try:
            open_ones.enter_context(psycopg.connect(address))
        except psycopg.OperationalError:
            return count
    raise AssertionError("the server accepts more connections than it was told to")


def stored(database: Database) -> int:
    with database.event_transaction() as session:
        return session.scalar(select(func.count()).select_from(ProviderEventPost)) or 0


def test_events_are_stored_though_all_other_connections_are_used_up(
    address: str, scarce: Services
) -> None:
    signer = Signer()
    keys = {"sendgrid_webhook_public_keys": (signer.public_key,)}
    settings = scarce.settings.model_copy(update=keys)
    client = build_app(Services(**{**vars(scarce), "settings": settings})).test_client()
    with ExitStack() as others:
        use_up(address, others)
        page = client.get("/")
        answers = [
            client.post("/webhooks/sendgrid/events", data=EVENTS, headers=signer.headers(EVENTS))
            for _ in range(20)
        ]

        assert (page.status_code, page.headers["Retry-After"]) == (503, "30")
        assert [answer.status_code for answer in answers] == [204] * 20
        assert stored(scarce.database) == 20


def test_jobs_wait_and_go_on_when_there_are_connections_again(
    address: str, scarce: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, clocks, lines = Worker(scarce), Clocks(), LogLines()
    monkeypatch.setattr(backoff, "log", lines)
    worker.backoff = ConnectionBackoff(clocks.monotonic)
    worker.clock = clocks.settled()
    clocks.pass_time(timedelta(minutes=1))

    def tick_for(seconds: int) -> None:
        for _ in range(seconds):
            for name, job in worker.jobs.items():
                if job.seconds in {2, 5} and name != "post_canaries":
                    worker.tick(name)
            clocks.ticks += 1

    with ExitStack() as others:
        use_up(address, others)
        tick_for(60)
        assert [line["event"] for line in lines] == ["no connection to the database; jobs wait"]
    tick_for(60)
    assert [line["event"] for line in lines[1:]] == ["all jobs have connections again"]


def test_a_process_opens_so_many_connections_and_no_more(
    address: str, scarce: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce.database.close()
    database = Database(scarce.settings.database, connections=5)
    database.keep_connection_for_events()
    pool = database.engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.1)
    with ExitStack() as opened:
        for _ in range(5):
            opened.enter_context(database.engine.connect())
        with pytest.raises(OperationalError, match="all 5 connections") as refusal:
            opened.enter_context(database.engine.connect())
        left = CONNECTIONS - use_up(address, opened)
    database.close()

    assert is_without_connection(refusal.value)
    assert left == 5 + 1
