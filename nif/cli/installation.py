"""nif run, serve, worker, db, demo and account: an installation and its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException

import click
from flask_security import hash_password

from nif import schema
from nif.accounts.accounts import create_account
from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.cli.common import OPERATOR, load_services
from nif.cli.ledger import record_policies
from nif.clock import utc_now
from nif.demo.loader import DEMO_ACCOUNTS, DEMO_PASSWORD, REAL_STORY_SLUG, load_demo_newsroom
from nif.editions.digest import next_slot_of_list
from nif.errors import Misconfigured, NotAllowed
from nif.jobs.worker import run_worker
from nif.register.relationship_types import PublisherNames
from nif.services import Services
from nif.settings import DEFAULT_PORT, PROJECT, Settings
from nif.subscriptions.lists import offered_lists
from nif.web.filters import STATIC_FOLDER, format_local_datetime
from nif.web.login import create_password_link


@click.command()
def run() -> None:
    """Run everything for development: migrate, load the demo, start web and worker."""
    port = _read_port()
    _check_port_is_free(port)
    services = load_services(checked=False)
    if services.settings.in_production:
        raise Misconfigured("`nif run` is for development; use `nif serve` and `nif worker`.")
    services.database.check_reachable()
    schema.upgrade_schema(services.database)
    load_demo_once(services)
    # In sessions of their own, so that Ctrl-C reaches only this process, which ends them.
    processes = [
        subprocess.Popen([sys.executable, "-m", "nif", name], start_new_session=True)  # noqa: S603
        for name in ("serve", "worker")
    ]
    try:
        _wait_for_page(port, processes)
        _print_welcome(services)
        _wait_for_end(processes)
    finally:
        _end_processes(processes)


@click.command()
def serve() -> None:
    """Run the web process: granian, on PORT (8000)."""
    services = load_services()
    port = _read_port()
    _check_port_is_free(port)
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, *_granian_arguments(services.settings, port)])  # noqa: S606


@click.command()
def worker() -> None:
    """Run the worker: scheduled jobs and background work."""
    services = load_services()
    record_policies(services)
    run_worker(services)


def _granian_arguments(settings: Settings, port: int) -> list[str]:
    """The arguments of the web server.

    Without a kill timeout, granian hangs for ever when it is stopped while it starts.
    """
    host = "0.0.0.0" if settings.in_production else "127.0.0.1"  # noqa: S104
    workers = os.environ.get("WEB_CONCURRENCY", "2")
    return [
        *("-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)),
        *("--workers", workers, "--blocking-threads", "4", "--workers-kill-timeout", "5"),
        *("--respawn-failed-workers", "--backpressure", "64", "--no-access-log"),
        *("--static-path-mount", str(STATIC_FOLDER), "--static-path-route", "/static"),
        *("--log-level", "warning", "wsgi:app"),
    ]


def _read_port() -> int:
    given = os.environ.get("PORT", DEFAULT_PORT)
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise Misconfigured(f"PORT is {given}; it must be a number from 1 to 65535.")
    return int(given)


def _check_port_is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Misconfigured(
                f"Port {port} is not available ({error.strerror}). Stop what uses it, or "
                f"choose another port: PORT={port + 1} make run"
            ) from None


def _wait_for_page(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    for _ in range(600):
        if any(process.poll() is not None for process in processes):
            raise Misconfigured("A process ended while it started; see its output above.")
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.1)
    raise Misconfigured("The web process did not answer within a minute.")


def _print_welcome(services: Services) -> None:
    base = services.settings.base_url
    click.echo(f"""
  {services.settings.site_name} is at {base}/

  The real story    {base}/articles/{REAL_STORY_SLUG}
  Subscribe         {base}/subscribe
  The outbox        {base}/outbox   (shows all mail)
  The newsroom      {base}/newsroom/
  Admin pages       {base}/admin/
""")
    with services.database.reading() as session:
        for mailing_list in offered_lists(session):
            due = next_slot_of_list(mailing_list, now=utc_now()).due_at
            local = format_local_datetime(due, mailing_list.zone)
            click.echo(f"  {mailing_list.title:<16}  is due on {local}, {mailing_list.zone} time")
    click.echo()
    for email, _, role in DEMO_ACCOUNTS:
        click.echo(f"  Sign in as {role.value:<7} {email}   {DEMO_PASSWORD}")
    click.echo("\n  Ctrl-C stops it. Your data stays in instance/.\n")


def _wait_for_end(processes: list[subprocess.Popen[bytes]]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.3)
        raise Misconfigured("A process ended unexpectedly; see its output above.")
    except KeyboardInterrupt:
        click.echo("\nStopping…", err=True)


def _end_processes(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@click.group("db")
def database_group() -> None:
    """The database's schema."""


@database_group.command()
def upgrade() -> None:
    """Migrate the database to the schema of this version."""
    services = load_services(checked=False)
    services.database.check_reachable()
    schema.upgrade_schema(services.database)
    click.echo("The database schema is up to date.")


@database_group.command()
def check() -> None:
    """Check that the schema is the one of this version. Status 1 where it is not."""
    load_services()
    click.echo("The database schema is up to date.")


@click.group()
def demo() -> None:
    """The demo newsroom."""


@demo.command("load")
def load_demo() -> None:
    """Load the demo stories, lists and accounts into an empty database."""
    if load_demo_once(load_services()):
        click.echo("The demo newsroom is loaded.")
    else:
        click.echo("The database already has content; nothing was changed.")


def load_demo_once(services: Services) -> bool:
    """Load the demo; False where the database already has content.

    Raises NotAllowed in production, because the passwords of its accounts are public.
    """
    if services.settings.in_production:
        raise NotAllowed("The demo newsroom is not for production: its passwords are public.")
    with build_app(services).app_context():
        hashed = hash_password(DEMO_PASSWORD)
    names = PublisherNames(services.settings.site_short_name, services.settings.owner_name)
    with services.database.transaction() as session:
        return load_demo_newsroom(
            session, password_hash=hashed, names=names, now=utc_now(), storage=services.storage
        )


@click.group()
def account() -> None:
    """Accounts of editors and admins."""


@account.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in RoleName]))
@click.option(
    "--name", default="", help="The name in bylines; taken from the address where it is not given."
)
def create(email: str, role: str, name: str) -> None:
    """Create an account, and print the link with which its owner sets a password."""
    services, now = load_services(), utc_now()
    name = name or email.partition("@")[0]
    with services.database.transaction() as session:
        created = create_account(session, email, name, RoleName(role), now=now)
        detail = {"role": role}
        record_audit_entry(
            session, OPERATOR, "account_created", "account", created.id, detail=detail, now=now
        )
    click.echo(create_password_link(build_app(services), created.email))
