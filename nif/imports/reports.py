"""The report of an import's rejected rows, and the export of a list: both as CSV."""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import String, cast, select, type_coerce
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.errors import Invalid
from nif.imports.models import ImportProblem, ImportRun, RowOutcome
from nif.mail.addresses import parse_address
from nif.spreadsheets import write_csv
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, Suppression

OUTCOME_WORDS = {
    RowOutcome.NEW: ("New", "are added to the list"),
    RowOutcome.CHANGED: ("Changed", "were pending and now count as confirmed"),
    RowOutcome.UNCHANGED: ("Already there", "stay as they are; this includes duplicate rows"),
    RowOutcome.SKIPPED: (
        "Skipped",
        "unsubscribed, bounced or complained according to the file; recorded here",
    ),
    RowOutcome.UNSUBSCRIBED: (
        "Unsubscribed before",
        "have unsubscribed from this list; only they themselves can subscribe again",
    ),
    RowOutcome.SUPPRESSED: ("Suppressed", "are on the suppression list and get no mail"),
    RowOutcome.INVALID: ("Invalid", "cannot be read, or have no valid address"),
}
"""Each outcome's label, and what it means for those rows."""

PROBLEM_WORDS = {
    "address": "This is not a valid email address.",
    "empty": "There is no address in this row.",
    "short": "This row has fewer columns than the others, and no address.",
    "long": "This line or cell is too long.",
    "quote": "A quotation mark is opened here and not closed.",
    "status": "This status is unknown.",
    "unsubscribed": "Has unsubscribed from this list.",
    "suppressed_bounced": "Suppressed: mail to this address bounced.",
    "suppressed_complained": "Suppressed: the subscriber marked mail as spam.",
    "suppressed_unsubscribed": "Suppressed: the subscriber unsubscribed from all mail.",
    "suppressed_invalid": "Suppressed: the mail provider says that the address does not exist.",
    "suppressed_erased": "Suppressed: the subscriber asked to be erased.",
    "suppressed_manual": "Suppressed: by an admin, or refused by the recipient.",
}
PROBLEMS_SHOWN = 20


def explain_problem(code: str, cell: str) -> str:
    if code == "address":
        try:
            parse_address(cell)
        except Invalid as error:
            return str(error)
    return PROBLEM_WORDS.get(code, code)


def list_import_problems(
    session: Session, run: ImportRun, *, limit: int = PROBLEMS_SHOWN
) -> list[ImportProblem]:
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    return list(session.scalars(query.order_by(ImportProblem.line).limit(limit)))


def stream_problem_report(session: Session, run: ImportRun) -> Iterator[str]:
    """All stored problems of a run as CSV: line, cell, and explanation."""
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    problems = session.scalars(query.order_by(ImportProblem.line).execution_options(yield_per=1000))
    rows = ((one.line, one.cell, explain_problem(one.code, one.cell)) for one in problems)
    return write_csv(("line", "cell", "problem"), rows)


EXPORT_HEADINGS = (
    *("address", "state", "requested_at", "confirmed_at", "unsubscribed_at"),
    *("suppressed", "suppression_source"),
)
EXPORT_PAGE_ROWS = 5_000

_subscriber, _subscription = table_of(Subscriber).c, table_of(Subscription).c
_suppression = table_of(Suppression).c


def stream_list_export(session: Session, list_id: int) -> Iterator[str]:
    """All subscriptions of a list as CSV, ordered by subscriber id, in chunks of many lines.

    Cells are escaped for spreadsheets. The session must see one snapshot of the database.
    """
    # Each state is read in the order of the index, and the states are merged by id.
    by_state = (_export_rows_of_state(session, list_id, state) for state in SubscriptionState)
    rows = (
        (row[1], row[2], *map(_format_exported_moment, row[3:6]), row[6], row[7])
        for row in heapq.merge(*by_state, key=itemgetter(0))
    )
    return write_csv(EXPORT_HEADINGS, rows)


def _export_rows_of_state(
    session: Session, list_id: int, state: SubscriptionState
) -> Iterator[Any]:
    after = 0
    while rows := session.execute(_select_export_page(list_id, state, after)).all():
        yield from rows
        after = rows[-1][0]


def _format_exported_moment(stored: str | None) -> str:
    """A moment as both databases store it in UTC, formatted by RFC 3339 to the second."""
    return f"{stored[:10]}T{stored[11:19]}Z" if stored else ""


def _select_export_page(list_id: int, state: SubscriptionState, after: int) -> Any:
    """A page of subscriptions. Suppressed ones are marked, so that no other program mails them."""
    return (
        select(
            _subscription.subscriber_id,
            _subscriber.address,
            type_coerce(_subscription.state, String),
            cast(_subscription.requested_at, String),
            cast(_subscription.confirmed_at, String),
            cast(_subscription.unsubscribed_at, String),
            type_coerce(_suppression.reason, String),
            _suppression.source,
        )
        .join_from(
            table_of(Subscription),
            table_of(Subscriber),
            _subscriber.id == _subscription.subscriber_id,
        )
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(
            _subscription.list_id == list_id,
            _subscription.state == state,
            _subscription.subscriber_id > after,
        )
        .order_by(_subscription.subscriber_id)
        .limit(EXPORT_PAGE_ROWS)
    )
