"""nif subscriber, suppressions and retention: people, their addresses, and old data."""

import json
import sys
import time
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

import click

from nif.accounts.audit_log import record_audit_entry
from nif.cli.common import OPERATOR, json_option, load_services, pick, print_result, prints_json
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.imports import imports
from nif.imports.imports import stream_list_export
from nif.imports.models import ImportRun, ImportState
from nif.imports.runner import IMPORT_LEASE, ImportContext, run_import
from nif.jobs.worker import tune_garbage_collector
from nif.mail.addresses import parse_address
from nif.paging import Page
from nif.privacy.data_map import erase_person, export_person, person_at_address
from nif.privacy.retention import count_due_rows, run_retention
from nif.sends import suppression_sync
from nif.services import Services
from nif.subscribers import profile
from nif.subscribers.profile import MailedEdition, SubscriberProfile
from nif.subscribers.suppressions import (
    SHOWN_REASONS,
    ListedSuppression,
    add_manual_suppressions,
    parse_pasted_addresses,
    parse_suppression_filter,
    search_suppressions,
)
from nif.subscriptions import suppression_list, suppression_outbox
from nif.subscriptions.lists import get_list

SECONDS_BETWEEN_LINES = 5.0


@click.group("subscriber")
def subscriber() -> None:
    """Subscribers: one person's data, and a list's subscribers as files."""


@subscriber.command()
@click.argument("address", metavar="E")
@click.option("--after", help="Show older editions than the last page did: its `more_after`.")
@json_option
def show(address: str, after: str | None) -> None:
    """Show everything known about a subscriber, like their admin page."""
    with load_services().database.reading() as session:
        found = profile.get_subscriber_by_address(session, address)
        data = _profile_as_data(profile.load_subscriber_profile(session, found))
        data |= _editions_as_data(profile.list_mailed_editions(session, found, after=after))
    if not prints_json():
        data = {name: _as_line(value) for name, value in data.items()}
    print_result(data)


@subscriber.command()
@click.argument("address", metavar="E")
def data(address: str) -> None:
    """Print everything known about E as JSON, with the receipts of every consent."""
    services = load_services()
    parsed = parse_address(address)
    with services.database.reading() as session:
        found = export_person(session, person_at_address(session, parsed), now=utc_now())
    click.echo(json.dumps(found, indent=2))


@subscriber.command()
@click.argument("address", metavar="E")
@json_option
def erase(address: str) -> None:
    """Erase E for good. Only a keyed hash of the address stays, so that it is never mailed."""
    services = load_services()
    parsed, now = parse_address(address), utc_now()
    with services.database.transaction() as session:
        person = person_at_address(session, parsed)
        folder = services.settings.imports
        erase_person(session, person, folder, source="nif subscriber erase", now=now)
        record_audit_entry(session, OPERATOR, "subscriber_erased", "subscriber", person.id, now=now)
    services.database.truncate_wal()
    print_result({"was_known": person.id != 0, "erased": True})


@subscriber.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--list", "slug", required=True, help="The slug of the list.")
@click.option(
    "--consent-source", required=True, help="Why these people may be mailed, in a sentence."
)
@click.option(
    "--unconfirmed", is_flag=True, help="They did not confirm elsewhere: all become pending."
)
@click.option("--dry-run", is_flag=True, help="Count what would happen, and change nothing.")
@json_option
def import_file(
    file: BinaryIO, slug: str, consent_source: str, unconfirmed: bool, dry_run: bool
) -> None:
    """Import subscribers from a CSV file into a list, without mailing anybody.

    If the command is killed, the worker finishes the import, or `nif subscriber resume-import`.
    """
    services = load_services()
    import_id = _begin_import(services, file, slug, consent_source, confirmed=not unconfirmed)
    with services.database.transaction() as session:
        run, now = session.get_one(ImportRun, import_id), utc_now()
        if dry_run:
            imports.start_dry_run(session, run, now=now)
        else:
            imports.start_import(session, run, now=now)
            record_audit_entry(session, OPERATOR, "import_started", "list", slug, now=now)
    _finish_import(services, import_id)


@subscriber.command()
@click.argument("import_id", type=int, metavar="ID")
@json_option
def resume_import(import_id: int) -> None:
    """Resume an import that was stopped or killed."""
    services = load_services()
    with services.database.transaction() as session:
        run = session.get(ImportRun, import_id)
        if run is not None and run.state in {ImportState.STOPPED, ImportState.FAILED}:
            imports.resume_import(run, now=utc_now())
    _finish_import(services, import_id)


@subscriber.command()
@click.argument("import_id", type=int, metavar="ID")
@click.confirmation_option(prompt="Remove the subscribers that this import added?")
@json_option
def undo_import(import_id: int) -> None:
    """Undo an import. Subscribers who were mailed or acted themselves since then stay."""
    services = load_services()
    with services.database.transaction() as session:
        run = session.get(ImportRun, import_id)
        if run is None:
            raise Conflict("There is no such import.")
        slug, now = run.mailing_list.slug, utc_now()
        imports.start_undo(run, now=now)
        record_audit_entry(session, OPERATOR, "import_undone", "list", slug, now=now)
    _finish_import(services, import_id)


@subscriber.command("export")
@click.option("--list", "slug", required=True, help="The slug of the list.")
@click.option(
    "--to",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="A file; standard output where it is not given.",
)
def export_list(slug: str, to: TextIO) -> None:
    """Export everyone who is or was subscribed to a list, as CSV."""
    database = load_services().database
    with database.reading() as session:
        list_id = get_list(session, slug).id
    with database.snapshot() as session:
        for text in stream_list_export(session, list_id):
            to.write(text.replace("\r\n", "\n"))


def _begin_import(
    services: Services, file: BinaryIO, slug: str, consent_source: str, *, confirmed: bool
) -> int:
    """Store the file and create the import; returns its id."""
    folder, most = services.settings.imports, services.settings.import_largest
    with services.database.reading() as session:
        get_list(session, slug)
    stored = imports.store_import_file(file, folder, max_bytes=most)
    try:
        with imports.open_import_file(folder, stored.name) as opened:
            layout = imports.detect_file_layout(opened)
        with services.database.transaction() as session:
            mailing_list = get_list(session, slug)
            name = Path(file.name).name
            run = imports.create_import(session, mailing_list, stored, name, layout, now=utc_now())
            imports.set_consent_source(run, consent_source, confirmed=confirmed)
            return run.id
    except BaseException:
        imports.delete_import_file(folder, stored.name)
        raise


def _finish_import(services: Services, import_id: int) -> None:
    """Run the import to its end with a progress bar, and report. Status 1 where it stopped."""
    tune_garbage_collector()
    progress = _ProgressBar()
    context = ImportContext(
        services.database.transaction,
        services.settings.imports,
        utc_now,
        report_progress=progress.show,
    )
    # A worker that was killed is waited for; one that is alive renews its claim with every batch.
    last_try_at = utc_now() + IMPORT_LEASE
    while not run_import(context, import_id):
        with services.database.reading() as session:
            run = session.get(ImportRun, import_id)
        if run is None or run.due_at is None or utc_now() > last_try_at:
            raise Conflict("This import has nothing to do, or a worker is running it already.")
        time.sleep(1)
    progress.end()
    with services.database.reading() as session:
        run = session.get_one(ImportRun, import_id)
        print_result(_import_as_data(run))
        if not prints_json():
            for problem in imports.list_import_problems(session, run):
                reason = imports.explain_problem(problem.code, problem.cell)
                click.echo(f"line {problem.line}: {problem.cell or '(empty)'}: {reason}", err=True)
    if run.state not in {ImportState.DRY_RUN_DONE, ImportState.DONE, ImportState.UNDONE}:
        raise SystemExit(1)


class _ProgressBar:
    """A line that redraws itself on a terminal, and a plain line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._on_terminal, self._shown_at = sys.stderr.isatty(), time.monotonic()

    def show(self, run: ImportRun) -> None:
        part = min(run.byte_offset / run.size, 1) if run.size else 1
        rate = run.rows_read / run.worked_seconds if run.worked_seconds else 0
        line = f"{part:4.0%}  {run.rows_read:,} rows, {rate:,.0f} a second"
        if self._on_terminal:
            bar = "#" * round(part * 30)
            click.echo(f"\r[{bar:<30}] {line}  ", nl=False, err=True)
        elif time.monotonic() - self._shown_at >= SECONDS_BETWEEN_LINES:
            self._shown_at = time.monotonic()
            click.echo(line.strip(), err=True)

    def end(self) -> None:
        if self._on_terminal:
            click.echo(err=True)


def _profile_as_data(known: SubscriberProfile) -> dict[str, Any]:
    suppression = known.suppression
    return {
        **pick(known.subscriber, "id", "address", "created_at"),
        "last_activity": known.last_activity,
        "suppressed": suppression
        and {"reason": suppression.reason.value, **pick(suppression, "source", "at")},
        "lists": [
            {
                "list": subscription.mailing_list.slug,
                "state": subscription.state.value,
                **pick(subscription, "requested_at", "confirmed_at", "unsubscribed_at"),
            }
            for subscription in known.subscriptions
        ],
        "consents": [
            {
                "at": consent.at,
                "list": list_title,
                "action": consent.action.value,
                **pick(consent, "source", "network"),
                "wording": wording,
            }
            for consent, list_title, wording in known.consents
        ],
        "changes": [
            {"at": entry.at, "by": entry.account_name, **pick(entry, "action", "detail")}
            for entry in known.audit_entries
        ],
    }


def _editions_as_data(page: Page[MailedEdition]) -> dict[str, Any]:
    editions = [
        {
            "send": edition.send_id,
            "subject": edition.subject,
            "list": edition.list_title,
            **pick(edition, "at", "status", "reason"),
            "events": [
                {"kind": event.kind, "at": event.happened_at, "detail": event.detail}
                for event in edition.events
            ],
        }
        for edition in page.rows
    ]
    return {"editions": editions, "more_after": page.after}


def _import_as_data(run: ImportRun) -> dict[str, object]:
    outcomes, undone = run.outcome_counts, run.undo_counts
    return {
        "import": run.id,
        "state": run.state.value,
        "rows": run.rows_read,
        **{outcome.value: outcomes.get(outcome, 0) for outcome in imports.OUTCOME_WORDS},
        **{key: undone[key] for key in ("undone", "kept") if key in undone},
        **pick(run, "encoding", "separator"),
        "worked_seconds": round(run.worked_seconds, 1),
        "failure_reason": run.failure_reason or "",
    }


def _as_line(value: Any) -> Any:
    """A value for people: each row of a table on a line of its own."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_as_line(cell)}" for name, cell in value.items() if cell)
    if isinstance(value, list):
        return "".join(f"\n  {_as_line(row)}" for row in value) or "none"
    return "none" if value is None else value


@click.group()
def retention() -> None:
    """Retention of subscribers' data."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@json_option
def run(dry_run: bool) -> None:
    """Delete data whose retention period is over. The worker does this once a day."""
    services, now = load_services(), utc_now()
    if dry_run:
        with services.database.reading() as session:
            deleted = count_due_rows(session, services.retention_periods, now=now)
    else:
        deleted = run_retention(services.database.transaction, services.retention_periods, now=now)
        services.database.truncate_wal()
    print_result({**deleted, "dry_run": dry_run})


MAX_PER_PAGE = 1000
MAX_PUSH_REQUESTS = 10_000


@click.group("suppressions")
def suppressions() -> None:
    """The addresses that are never mailed."""


@suppressions.command("list")
@click.option("--reason", type=click.Choice([shown.value for shown in SHOWN_REASONS]), default=None)
@click.option("--begins", default="", help="Only addresses that begin with this.")
@click.option("--most", type=click.IntRange(1, MAX_PER_PAGE), default=50, show_default=True)
@click.option("--after", help="Continue after this place, which the last page printed.")
@json_option
def list_suppressions(reason: str | None, begins: str, most: int, after: str | None) -> None:
    """List suppressions, newest first, and count them by reason."""
    wanted = parse_suppression_filter(reason or "", begins)
    with load_services().database.reading() as session:
        page = search_suppressions(session, wanted, after=after, size=most)
        counted = suppression_list.count_suppressions(session)
    counts = {shown.value: count for shown, count in counted.items()}
    rows = [_suppression_as_data(row) for row in page.rows]
    if prints_json():
        print_result({"counts": counts, "suppressions": rows, "after": page.after})
        return
    print_result(counts)
    for row in rows:
        click.echo("  ".join(str(cell) for cell in row.values() if cell is not None))
    if page.after:
        click.echo(f"More: --after {page.after}")


@suppressions.command()
@click.argument("addresses", nargs=-1)
@click.option(
    "--file", "file", type=click.File(), help="Addresses, one a line; - for standard input."
)
@click.option("--reason", required=True, help="Stored with each address.")
@json_option
def add(addresses: tuple[str, ...], file: IO[str] | None, reason: str) -> None:
    """Add addresses to the suppression list."""
    text = "\n".join(addresses) + "\n" + (file.read() if file else "")
    canonicals, invalid = parse_pasted_addresses(text)
    if not canonicals:
        raise Invalid({"addresses": "None of these is an email address."})
    with load_services().database.transaction() as session:
        added, known = add_manual_suppressions(
            session, canonicals, reason, by=OPERATOR, now=utc_now()
        )
    print_result({"added": added, "already_there": known, "invalid": len(invalid)})


@suppressions.command()
@json_option
def pull() -> None:
    """Fetch the provider's suppression lists and suppress those addresses, too."""
    services = load_services()
    entries = suppression_sync.pull_suppressions(
        services.database.transaction, services.mailer, now=utc_now()
    )
    print_result({"entries_read": entries})


@suppressions.command()
@json_option
def push() -> None:
    """Push every waiting change of the suppression list to the provider now."""
    services = load_services()
    database = services.database
    pushed = suppression_sync.push_suppressions(
        database.transaction, services.mailer, clock=utc_now, most=MAX_PUSH_REQUESTS
    )
    with database.reading() as session:
        waiting = suppression_outbox.count_unpushed_suppressions(session)
    print_result({**vars(pushed), "waiting": waiting})


def _suppression_as_data(row: ListedSuppression) -> dict[str, Any]:
    suppression = row.suppression
    return {
        "address": suppression.canonical,
        "reason": suppression.reason.value,
        **pick(suppression, "source", "at"),
        "provider": row.provider_sync.value,
        "subscriber": row.subscriber_id,
    }
