"""Bringing readers in from a file: looked at, tried out, done, watched, reported, undone.

A list, and the report of an import, as files that other programs read.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from flask import (
    Blueprint,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.database import Database
from nif.errors import Conflict, Invalid, NotFound
from nif.imports import files, imports, repermission, reports
from nif.imports.column_mapping import find_vendor
from nif.imports.models import WORKER_STATES, ImportRun, ImportState
from nif.imports.reports import stream_list_export
from nif.sends.repermission import find_campaign_of_import
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import MailingList
from nif.web.access import Access, open_to
from nif.web.admin import import_form, system_status
from nif.web.admin.repermission import blueprint as repermission_blueprint
from nif.web.admin.repermission import measure_repermission_progress
from nif.web.current import reading, services, settings, transaction
from nif.web.downloads import download_response
from nif.web.uploads import accepts_subscriber_file

blueprint = Blueprint("admin_imports", __name__, url_prefix="/admin/lists/<slug>")
blueprint.context_processor(system_status.status_banner)
blueprint.register_blueprint(repermission_blueprint)

ONE = f"/import/<int(max={2**63 - 1}):import_id>"


@blueprint.get(f"{ONE}/report.csv")
@open_to(Access.ADMIN)
def download_report(slug: str, import_id: int) -> ResponseReturnValue:
    with reading() as session:
        run = imports.get_import(session, get_list(session, slug).id, import_id)
    return download_response(
        _report_lines(services().database, run), f"import-{import_id}-report.csv"
    )


@blueprint.post("/export.csv")
@open_to(Access.ADMIN)
def export(slug: str) -> ResponseReturnValue:
    """A POST, so that no link and no prefetching browser takes out a list unasked."""
    with transaction() as session:
        list_id = get_list(session, slug).id
        record_audit_entry(
            session, current_user, "list_exported", kind="list", subject=slug, now=utc_now()
        )
    return download_response(
        _export_lines(services().database, list_id), f"{slug}-{utc_now():%Y-%m-%d}.csv"
    )


def _report_lines(database: Database, run: ImportRun) -> Iterator[str]:
    with database.snapshot() as session:
        yield from reports.stream_problem_report(session, run)


def _export_lines(database: Database, list_id: int) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from stream_list_export(session, list_id)


ImportAction = Callable[[Session, ImportRun, datetime], None]


@blueprint.get("/import")
@open_to(Access.ADMIN)
def new(slug: str) -> ResponseReturnValue:
    return _render_new(slug)


@blueprint.post("/import")
@open_to(Access.ADMIN)
@accepts_subscriber_file
def create(slug: str) -> ResponseReturnValue:
    file = request.files.get("file")
    folder, most = settings().imports, settings().import_largest
    with reading() as session:
        get_list(session, slug)
    try:
        if file is None or not file.filename:
            raise Invalid({"file": "Choose a file."})
        stored = files.store_import_file(file.stream, folder, most=most)
        import_id = _create_run(slug, stored, file.filename)
    except Invalid as error:
        return _render_new(slug, error.problems), 422
    return redirect(url_for(".show", slug=slug, import_id=import_id), 303)


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def show(slug: str, import_id: int) -> ResponseReturnValue:
    return _render_show(slug, import_id)


@blueprint.get(f"{ONE}/progress")
@open_to(Access.ADMIN)
def show_progress(slug: str, import_id: int) -> ResponseReturnValue:
    with reading() as session:
        run = imports.get_import(session, get_list(session, slug).id, import_id)
        answer = make_response(render_template("admin/imports/progress.html", run=run))
    answer.add_etag()
    return answer.make_conditional(request)


@blueprint.post(ONE)
@open_to(Access.ADMIN)
def update(slug: str, import_id: int) -> ResponseReturnValue:
    """Take the choices; with the button for it, check the whole file by them."""
    chosen = import_form.read_import_choices(request.form)
    wants_check = "check" in request.form
    try:
        with transaction() as session:
            run = _get_run(session, slug, import_id)
            columns = import_form.read_column_mapping(chosen)
            imports.change_import_layout(
                run, chosen.encoding, chosen.separator, chosen.has_header, columns
            )
            if wants_check:
                confirmed = import_form.read_confirmed(chosen)
                imports.set_consent_source(run, chosen.consent_source, confirmed=confirmed)
                imports.start_dry_run(session, run)
    except Invalid as error:
        return _render_show(slug, import_id, chosen, error.problems), 422
    if not wants_check:
        return _render_show(slug, import_id, chosen)
    services().queue.wake("run_imports")
    return redirect(url_for(".show", slug=slug, import_id=import_id), 303)


@blueprint.post(f"{ONE}/start")
@open_to(Access.ADMIN)
def start(slug: str, import_id: int) -> ResponseReturnValue:
    def begin(session: Session, run: ImportRun, now: datetime) -> None:
        if run.state is not ImportState.DRY_RUN_DONE:
            raise Conflict("What is imported has to be checked first.")
        run.account_id = current_user.id
        imports.start_import(session, run, now=now)
        detail = {"import": run.id, "consent_source": run.consent_source}
        record_audit_entry(
            session,
            current_user,
            "import_started",
            kind="list",
            subject=slug,
            detail=detail,
            now=now,
        )

    return _apply_to_run(slug, import_id, begin)


@blueprint.post(f"{ONE}/mapping")
@open_to(Access.ADMIN)
def remap(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_run(
        slug, import_id, lambda _session, run, _now: imports.reopen_import_layout(run)
    )


@blueprint.post(f"{ONE}/stop")
@open_to(Access.ADMIN)
def stop(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_run(slug, import_id, lambda _session, run, _now: imports.stop_import(run))


@blueprint.post(f"{ONE}/resume")
@open_to(Access.ADMIN)
def resume(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_run(slug, import_id, lambda _session, run, _now: imports.resume_import(run))


@blueprint.post(f"{ONE}/undo")
@open_to(Access.ADMIN)
def undo(slug: str, import_id: int) -> ResponseReturnValue:
    def take_out(session: Session, run: ImportRun, now: datetime) -> None:
        imports.start_undo(run)
        detail = {"import": run.id}
        record_audit_entry(
            session,
            current_user,
            "import_undone",
            kind="list",
            subject=slug,
            detail=detail,
            now=now,
        )

    return _apply_to_run(slug, import_id, take_out)


def _create_run(slug: str, stored: files.StoredImportFile, file_name: str) -> int:
    """The id of a new run of a file; what is no table is not kept. Raises Invalid."""
    folder = settings().imports
    try:
        with files.open_import_file(folder, stored.name) as file:
            proposed = imports.detect_file_layout(file)
        with transaction() as session:
            mailing_list = get_list(session, slug)
            run = imports.create_import(
                session, mailing_list, stored, file_name, proposed, now=utc_now()
            )
            return run.id
    except BaseException:
        files.delete_import_file(folder, stored.name)
        raise


def _get_run(session: Session, slug: str, import_id: int) -> ImportRun:
    return imports.get_import(session, get_list(session, slug).id, import_id, lock=True)


def _apply_to_run(slug: str, import_id: int, deed: ImportAction) -> ResponseReturnValue:
    """Do something to a run and wake a worker; what may not be is told, and changes nothing."""
    try:
        with transaction() as session:
            deed(session, _get_run(session, slug, import_id), utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        services().queue.wake("run_imports")
    return redirect(url_for(".show", slug=slug, import_id=import_id), 303)


def _render_new(slug: str, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
        return render_template(
            "admin/imports/new.html",
            mailing_list=mailing_list,
            runs=imports.list_imports(session, mailing_list.id),
            problems=problems or {},
            largest=settings().import_largest,
        )


def _render_show(
    slug: str,
    import_id: int,
    chosen: import_form.ImportChoices | None = None,
    problems: dict[str, str] | None = None,
) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
        run = imports.get_import(session, mailing_list.id, import_id)
        if run.state is ImportState.UPLOADED:
            return _render_mapping(
                mailing_list, run, chosen or import_form.import_choices_of(run), problems or {}
            )
        return render_template(
            "admin/imports/show.html",
            mailing_list=mailing_list,
            run=run,
            moving=run.state in WORKER_STATES,
            verdicts=reports.OUTCOME_WORDS,
            problems=reports.list_import_problems(session, run),
            why=reports.explain_problem,
            can_be_undone=imports.can_undo_import(session, run),
            can_be_asked=repermission.find_repermission_obstacle(session, run) is None
            and bool(run.outcome_counts.get("new")),
            asked=measure_repermission_progress(
                session, find_campaign_of_import(session, run.id), now=utc_now()
            ),
        )


def _render_mapping(
    mailing_list: MailingList,
    run: ImportRun,
    chosen: import_form.ImportChoices,
    problems: dict[str, str],
) -> str:
    try:
        preview = imports.preview_import(settings().imports, run)
    except NotFound as error:
        preview, problems = imports.ImportPreview([], [], []), {**problems, "file": str(error)}
    return render_template(
        "admin/imports/mapping.html",
        mailing_list=mailing_list,
        run=run,
        chosen=chosen,
        problems=problems,
        preview=preview,
        vendor=find_vendor(preview.names),
        why=reports.explain_problem,
        form=import_form,
    )
