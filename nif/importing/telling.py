"""What became of the rows of an import, in words and as a file."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.importing.models import ImportProblem, ImportRun, Verdict
from nif.spreadsheets import written
from nif.subscriptions.addresses import read_address

VERDICTS = {
    Verdict.NEW: ("New", "come onto the list"),
    Verdict.CHANGED: ("Changed", "were asked and never confirmed; now count as confirmed"),
    Verdict.THERE: ("Already there", "stay as they are, and so does whoever stands here twice"),
    Verdict.OFF: ("Kept off", "the file says that they left, bounced or complained: noted here"),
    Verdict.LEFT: ("Left before", "have left this list: only they themselves can come back"),
    Verdict.SUPPRESSED: ("Suppressed", "are never mailed again by this house"),
    Verdict.INVALID: ("Invalid", "cannot be read, or hold no address"),
}
"""Each verdict as a person reads it, and what it means for those rows."""

REASONS = {
    "address": "This is not an email address that we can write to.",
    "empty": "There is no address in this row.",
    "short": "This row has fewer columns than the others; there is no address in it.",
    "long": "This line or cell is far too long to be one of a table.",
    "quote": "A quotation mark is opened here and not closed.",
    "state": "We do not know this state, so nobody is mailed because of it.",
    "left": "Has left this list.",
    "suppressed_bounced": "Suppressed: mail to this address bounced.",
    "suppressed_complained": "Suppressed: its reader complained.",
    "suppressed_unsubscribed": "Suppressed: its reader wants no more mail of ours.",
    "suppressed_invalid": "Suppressed: the mail provider says that there is no such address.",
    "suppressed_erased": "Suppressed: its reader asked us to forget them.",
    "suppressed_manual": "Suppressed: its reader never asked for mail, or the house decided so.",
}
PROBLEMS_SHOWN = 20


def why(code: str, cell: str) -> str:
    """Why a row was not taken, as exactly as we know."""
    if code == "address":
        try:
            read_address(cell)
        except Invalid as error:
            return str(error)
    return REASONS.get(code, code)


def problems(
    session: Session, run: ImportRun, *, most: int = PROBLEMS_SHOWN
) -> list[ImportProblem]:
    """The first rows of a run that were not taken."""
    query = select(ImportProblem).where(ImportProblem.run_id == run.id)
    return list(session.scalars(query.order_by(ImportProblem.line).limit(most)))


def report(session: Session, run: ImportRun) -> Iterator[str]:
    """Every row that was not taken and is kept, as CSV: line, what stood there, why."""
    query = select(ImportProblem).where(ImportProblem.run_id == run.id)
    found = session.scalars(
        query.order_by(ImportProblem.line), execution_options={"yield_per": 1000}
    )
    rows = ((one.line, one.cell, why(one.code, one.cell)) for one in found)
    return written(("line", "cell", "problem"), rows)
