"""A list, and the report of an import, as files that other programs read."""

from collections.abc import Iterator

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.database import Database
from nif.importing import steering, telling
from nif.importing.exporting import export
from nif.importing.models import ImportRun
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.current import parts, reading, transaction
from nif.web.downloads import as_file

blueprint = Blueprint("exports", __name__)

ONE = f"/import/<int(max={2**63 - 1}):run_id>"


@blueprint.get(f"{ONE}/report.csv")
@open_to(Access.ADMIN)
def report(slug: str, run_id: int) -> ResponseReturnValue:
    with reading() as session:
        run = steering.get_run(session, get_list(session, slug).id, run_id)
    return as_file(_report(parts().database, run), f"import-{run_id}-report.csv")


@blueprint.post("/export.csv")
@open_to(Access.ADMIN)
def everyone(slug: str) -> ResponseReturnValue:
    """A POST, so that no link and no prefetching browser takes out a list unasked."""
    with transaction() as session:
        list_id = get_list(session, slug).id
        note(session, current_user, "list_exported", kind="list", subject=slug, now=utc_now())
    return as_file(_everyone(parts().database, list_id), f"{slug}-{utc_now():%Y-%m-%d}.csv")


def _report(database: Database, run: ImportRun) -> Iterator[str]:
    with database.snapshot() as session:
        yield from telling.report(session, run)


def _everyone(database: Database, list_id: int) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from export(session, list_id)
