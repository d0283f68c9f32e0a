"""What became of the rows of an import, in words and as a file.

A list as CSV: streamed, whole, and harmless in a spreadsheet.
"""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import String, cast, select, type_coerce
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.errors import Invalid
from nif.imports.models import ImportProblem, ImportRun, RowOutcome
from nif.spreadsheets import write_csv
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, Suppression

OUTCOME_WORDS = {
    RowOutcome.NEW: ("New", "come onto the list"),
    RowOutcome.CHANGED: ("Changed", "were asked and never confirmed; now count as confirmed"),
    RowOutcome.UNCHANGED: (
        "Already there",
        "stay as they are, and so does whoever stands here twice",
    ),
    RowOutcome.SKIPPED: (
        "Skipped",
        "the file says that they left, bounced or complained: noted here",
    ),
    RowOutcome.UNSUBSCRIBED: (
        "Unsubscribed before",
        "have left this list: only they themselves can come back",
    ),
    RowOutcome.SUPPRESSED: ("Suppressed", "are never mailed again by this house"),
    RowOutcome.INVALID: ("Invalid", "cannot be read, or hold no address"),
}
"""Each verdict as a person reads it, and what it means for those rows."""

PROBLEM_WORDS = {
    "address": "This is not an email address that we can write to.",
    "empty": "There is no address in this row.",
    "short": "This row has fewer columns than the others; there is no address in it.",
    "long": "This line or cell is far too long to be one of a table.",
    "quote": "A quotation mark is opened here and not closed.",
    "status": "We do not know this state, so nobody is mailed because of it.",
    "unsubscribed": "Has left this list.",
    "suppressed_bounced": "Suppressed: mail to this address bounced.",
    "suppressed_complained": "Suppressed: its reader complained.",
    "suppressed_unsubscribed": "Suppressed: its reader wants no more mail of ours.",
    "suppressed_invalid": "Suppressed: the mail provider says that there is no such address.",
    "suppressed_erased": "Suppressed: its reader asked us to forget them.",
    "suppressed_manual": "Suppressed: its reader never asked for mail, or the house decided so.",
}
PROBLEMS_SHOWN = 20


def explain_problem(code: str, cell: str) -> str:
    """Why a row was not taken, as exactly as we know."""
    if code == "address":
        try:
            parse_address(cell)
        except Invalid as error:
            return str(error)
    return PROBLEM_WORDS.get(code, code)


def list_import_problems(
    session: Session, run: ImportRun, *, most: int = PROBLEMS_SHOWN
) -> list[ImportProblem]:
    """The first rows of a run that were not taken."""
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    return list(session.scalars(query.order_by(ImportProblem.line).limit(most)))


def stream_problem_report(session: Session, run: ImportRun) -> Iterator[str]:
    """Every row that was not taken and is kept, as CSV: line, what stood there, why."""
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    found = session.scalars(
        query.order_by(ImportProblem.line), execution_options={"yield_per": 1000}
    )
    rows = ((one.line, one.cell, explain_problem(one.code, one.cell)) for one in found)
    return write_csv(("line", "cell", "problem"), rows)


EXPORT_HEADINGS = (
    *("address", "state", "requested_at", "confirmed_at", "unsubscribed_at", "suppressed"),
    "suppression_source",
)
EXPORT_PAGE_ROWS = 5_000

_subscriber, _subscription, _suppression = (
    table_of(Subscriber).c,
    table_of(Subscription).c,
    table_of(Suppression).c,
)


def stream_list_export(session: Session, list_id: int) -> Iterator[str]:
    """Everyone who is or was on a list, in pieces of many lines, in the order of their ids.

    To be given a session that sees one moment only.
    """
    return write_csv(EXPORT_HEADINGS, _export_rows(session, list_id))


def _export_rows(session: Session, list_id: int) -> Iterator[tuple[object, ...]]:
    """State by state, because so the index has them in order, and put together by their ids."""
    by_state = (_export_rows_of_state(session, list_id, state) for state in SubscriptionState)
    for row in heapq.merge(*by_state, key=itemgetter(0)):
        yield (row[1], row[2], *map(_format_exported_moment, row[3:6]), row[6], row[7])


def _export_rows_of_state(
    session: Session, list_id: int, state: SubscriptionState
) -> Iterator[Any]:
    after = 0
    while rows := session.execute(_select_export_page(list_id, state, after)).all():
        yield from rows
        after = rows[-1][0]


def _format_exported_moment(stored: str | None) -> str:
    """A moment as both databases write it in UTC, in the form of RFC 3339, to the second."""
    return f"{stored[:10]}T{stored[11:19]}Z" if stored else ""


def _select_export_page(list_id: int, state: SubscriptionState, after: int) -> Any:
    """A page of people; suppressed ones too, so that whoever reads it elsewhere leaves them be."""
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
