"""Imports into a list, from upload and column mapping to undo; the export of a list."""

from collections.abc import Callable, Iterator
from datetime import datetime

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
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
from nif.web.files import accepts_subscriber_file, download_response

blueprint = Blueprint("admin_imports", __name__, url_prefix="/admin/lists/<slug>")
blueprint.context_processor(system_status.status_banner)
blueprint.register_blueprint(repermission_blueprint)

IMPORT_PATH = f"/import/<int(max={2**63 - 1}):import_id>"
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
    folder, max_size = settings().imports, settings().import_largest
    with reading() as session:
        get_list(session, slug)
    try:
        if file is None or not file.filename:
            raise Invalid({"file": "Choose a file."})
        stored = files.store_import_file(file.stream, folder, max_bytes=max_size)
        import_id = _create_import(slug, stored, file.filename)
    except Invalid as error:
        return _render_new(slug, error.problems), 422
    return redirect(url_for(".show", slug=slug, import_id=import_id), 303)


@blueprint.get(IMPORT_PATH)
@open_to(Access.ADMIN)
def show(slug: str, import_id: int) -> ResponseReturnValue:
    return _render_show(slug, import_id)


@blueprint.get(f"{IMPORT_PATH}/progress")
@open_to(Access.ADMIN)
def show_progress(slug: str, import_id: int) -> ResponseReturnValue:
    with reading() as session:
        import_run = imports.get_import(session, get_list(session, slug).id, import_id)
        answer = make_response(
            render_template("admin/imports/progress.html", import_run=import_run)
        )
    answer.add_etag()
    return answer.make_conditional(request)


@blueprint.post(IMPORT_PATH)
@open_to(Access.ADMIN)
def update(slug: str, import_id: int) -> ResponseReturnValue:
    """Store the mapping. The button "check" starts the dry run, the other the preview."""
    choices = import_form.read_import_choices(request.form)
    wants_check = "check" in request.form
    try:
        with transaction() as session:
            import_run = _get_import(session, slug, import_id)
            columns = import_form.read_column_mapping(choices)
            imports.change_import_layout(
                import_run, choices.encoding, choices.separator, choices.has_header, columns
            )
            if wants_check:
                confirmed = import_form.read_confirmed(choices)
                imports.set_consent_source(import_run, choices.consent_source, confirmed=confirmed)
                imports.start_dry_run(session, import_run)
    except Invalid as error:
        return _render_show(slug, import_id, choices, error.problems), 422
    if not wants_check:
        return _render_show(slug, import_id, choices)
    services().queue.wake("run_imports")
    return redirect(url_for(".show", slug=slug, import_id=import_id), 303)


@blueprint.post(f"{IMPORT_PATH}/start")
@open_to(Access.ADMIN)
def start(slug: str, import_id: int) -> ResponseReturnValue:
    def start_checked(session: Session, import_run: ImportRun, now: datetime) -> None:
        if import_run.state is not ImportState.DRY_RUN_DONE:
            raise Conflict("The file has to be checked before it is imported.")
        import_run.account_id = current_user.id
        imports.start_import(session, import_run, now=now)
        detail = {"import": import_run.id, "consent_source": import_run.consent_source}
        record_audit_entry(
            session, current_user, "import_started", "list", slug, detail=detail, now=now
        )

    return _apply_to_import(slug, import_id, start_checked)


@blueprint.post(f"{IMPORT_PATH}/mapping")
@open_to(Access.ADMIN)
def remap(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_import(
        slug, import_id, lambda _session, import_run, _now: imports.reopen_import_layout(import_run)
    )


@blueprint.post(f"{IMPORT_PATH}/stop")
@open_to(Access.ADMIN)
def stop(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_import(
        slug, import_id, lambda _session, import_run, _now: imports.stop_import(import_run)
    )


@blueprint.post(f"{IMPORT_PATH}/resume")
@open_to(Access.ADMIN)
def resume(slug: str, import_id: int) -> ResponseReturnValue:
    return _apply_to_import(
        slug, import_id, lambda _session, import_run, _now: imports.resume_import(import_run)
    )


@blueprint.post(f"{IMPORT_PATH}/undo")
@open_to(Access.ADMIN)
def undo(slug: str, import_id: int) -> ResponseReturnValue:
    def undo_import(session: Session, import_run: ImportRun, now: datetime) -> None:
        imports.start_undo(import_run)
        detail = {"import": import_run.id}
        record_audit_entry(
            session, current_user, "import_undone", "list", slug, detail=detail, now=now
        )

    return _apply_to_import(slug, import_id, undo_import)


@blueprint.get(f"{IMPORT_PATH}/report.csv")
@open_to(Access.ADMIN)
def download_report(slug: str, import_id: int) -> ResponseReturnValue:
    with reading() as session:
        import_run = imports.get_import(session, get_list(session, slug).id, import_id)
    return download_response(
        _report_lines(services().database, import_run), f"import-{import_id}-report.csv"
    )


@blueprint.post("/export.csv")
@open_to(Access.ADMIN)
def export(slug: str) -> ResponseReturnValue:
    """The whole list as CSV.

    A POST, so that no link and no prefetching browser exports a list by accident.
    """
    with transaction() as session:
        list_id = get_list(session, slug).id
        record_audit_entry(session, current_user, "list_exported", "list", slug, now=utc_now())
    return download_response(
        _export_lines(services().database, list_id), f"{slug}-{utc_now():%Y-%m-%d}.csv"
    )


def _create_import(slug: str, stored: files.StoredImportFile, file_name: str) -> int:
    """Create an import of a stored file; returns its id.

    Raises Invalid for a file that is not a table. The file is deleted then.
    """
    folder = settings().imports
    try:
        with files.open_import_file(folder, stored.name) as file:
            proposed = imports.detect_file_layout(file)
        with transaction() as session:
            mailing_list = get_list(session, slug)
            import_run = imports.create_import(
                session, mailing_list, stored, file_name, proposed, now=utc_now()
            )
            return import_run.id
    except BaseException:
        files.delete_import_file(folder, stored.name)
        raise


def _get_import(session: Session, slug: str, import_id: int) -> ImportRun:
    return imports.get_import(session, get_list(session, slug).id, import_id, lock=True)


def _apply_to_import(slug: str, import_id: int, action: ImportAction) -> ResponseReturnValue:
    """Apply an action to an import and wake a worker. A refused action changes nothing."""
    try:
        with transaction() as session:
            action(session, _get_import(session, slug, import_id), utc_now())
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
            imports=imports.list_imports(session, mailing_list.id),
            problems=problems or {},
            max_size=settings().import_largest,
        )


def _render_show(
    slug: str,
    import_id: int,
    choices: import_form.ImportChoices | None = None,
    problems: dict[str, str] | None = None,
) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
        import_run = imports.get_import(session, mailing_list.id, import_id)
        if import_run.state is ImportState.UPLOADED:
            return _render_mapping(
                mailing_list,
                import_run,
                choices or import_form.import_choices_of(import_run),
                problems or {},
            )
        return render_template(
            "admin/imports/show.html",
            mailing_list=mailing_list,
            import_run=import_run,
            is_running=import_run.state in WORKER_STATES,
            outcomes=reports.OUTCOME_WORDS,
            problems=reports.list_import_problems(session, import_run),
            explain_problem=reports.explain_problem,
            can_undo=imports.can_undo_import(session, import_run),
            can_start_repermission=repermission.find_repermission_obstacle(session, import_run)
            is None
            and bool(import_run.outcome_counts.get("new")),
            repermission=measure_repermission_progress(
                session, find_campaign_of_import(session, import_run.id), now=utc_now()
            ),
        )


def _render_mapping(
    mailing_list: MailingList,
    import_run: ImportRun,
    choices: import_form.ImportChoices,
    problems: dict[str, str],
) -> str:
    try:
        preview = imports.preview_import(settings().imports, import_run)
    except NotFound as error:
        preview, problems = imports.ImportPreview([], [], []), {**problems, "file": str(error)}
    return render_template(
        "admin/imports/mapping.html",
        mailing_list=mailing_list,
        import_run=import_run,
        choices=choices,
        problems=problems,
        preview=preview,
        vendor=find_vendor(preview.names),
        explain_problem=reports.explain_problem,
        form=import_form,
    )


def _report_lines(database: Database, import_run: ImportRun) -> Iterator[str]:
    with database.snapshot() as session:
        yield from reports.stream_problem_report(session, import_run)


def _export_lines(database: Database, list_id: int) -> Iterator[str]:
    """Lines read while they are sent, in their own session: the request's has ended by then."""
    with database.snapshot() as session:
        yield from stream_list_export(session, list_id)
