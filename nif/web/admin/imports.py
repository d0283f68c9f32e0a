"""Imports into a list, from upload and column mapping to undo; the export of a list."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotFound
from nif.imports import imports, repermission
from nif.imports.column_mapping import ColumnMapping, find_vendor
from nif.imports.models import WORKER_STATES, ImportRun, ImportState
from nif.sends.repermission import find_campaign_of_import
from nif.subscriptions.lists import get_list
from nif.web.access import Access, page_view
from nif.web.admin.repermission import measure_repermission_progress
from nif.web.current import reading, settings
from nif.web.files import accepts_upload, stream_download
from nif.web.forms import Choice, Form, Lines, Tick, Upload, required
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_imports", __name__, url_prefix="/admin/lists/<slug>")

IMPORT_PATH = "/import/<id:import_id>"
ENCODING_LABELS = {
    "utf-8": "UTF-8",
    "cp1252": "Western European (Windows-1252)",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
}
SEPARATOR_LABELS = {"comma": "Comma ,", "semicolon": "Semicolon ;", "tab": "Tab", "bar": "Bar |"}
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
COLUMN_LABELS = {number: f"Column {number + 1}" for number in range(imports.MAX_PREVIEW_COLUMNS)}
CONFIRMED_LABELS = {
    "yes": "Yes, they confirmed elsewhere. They receive the next edition.",
    "no": "No, or it is not known. They are pending and receive nothing until they confirm.",
}


class FileForm(Form):
    file = Upload("File", validators=[required("Choose a file.")])


class ImportForm(Form):
    """How the file is read, and, where the button "check" was pressed, why people may be mailed."""

    encoding = Choice("Encoding", ENCODING_LABELS, problem="Choose one of these encodings.")
    separator = Choice("Separator", SEPARATOR_LABELS, problem="Choose one of these separators.")
    has_header = Tick("The first row contains column names")
    column_email = Choice("Address", COLUMN_LABELS, problem="Choose the column with the addresses.")
    column_status = Choice("Status", COLUMN_LABELS, empty="none")
    column_subscribed_at = Choice("On the list since", COLUMN_LABELS, empty="none")
    column_unsubscribed = Choice("Unsubscribed", COLUMN_LABELS, empty="none")
    column_bounced = Choice("Bounced", COLUMN_LABELS, empty="none")
    consent_source = Lines("Consent source", most=imports.MAX_CONSENT_SOURCE_LENGTH)
    confirmed = Choice("Did they confirm their subscription?", CONFIRMED_LABELS, empty="")
    wants_check = Tick(name="check")

    @classmethod
    def of_import(cls, run: ImportRun) -> "ImportForm":
        separators = {sign: key for key, sign in SEPARATORS.items()}
        confirmed = "yes" if run.confirmed_elsewhere else "no"
        return cls(
            encoding=run.encoding,
            separator=separators[run.separator],
            has_header=run.has_header,
            consent_source=run.consent_source,
            confirmed=confirmed if run.consent_source else None,
            **{f"column_{name}": number for name, number in run.columns.items()},
        )

    def store(self, run: ImportRun) -> None:
        """Raises Invalid and Conflict."""
        columns = ColumnMapping(
            **{name: self[f"column_{name}"].data for name in ColumnMapping.__dataclass_fields__}
        )
        separator = SEPARATORS[self.separator.data]
        imports.change_import_layout(
            run, self.encoding.data, separator, self.has_header.data, columns
        )
        if self.wants_check.data:
            if self.confirmed.data is None:
                raise Invalid({"confirmed": "Choose one of the two answers."})
            is_confirmed = self.confirmed.data == "yes"
            imports.set_consent_source(run, self.consent_source.data, confirmed=is_confirmed)


@page_view(blueprint, Access.ADMIN, "/import")
def new(session: Session, slug: str, form: FileForm | None = None) -> str:
    form = form or FileForm()
    mailing_list = get_list(session, slug)
    return render_template(
        "admin/imports/new.html",
        mailing_list=mailing_list,
        imports=imports.list_imports(session, mailing_list.id),
        form=form,
        max_size=settings().import_largest,
    )


@blueprint.post("/import")
@accepts_upload("import_largest")
@staff_action(Access.ADMIN, FileForm, page=new)
def create(action: StaffAction, form: FileForm, slug: str) -> ResponseReturnValue:
    folder, uploaded = settings().imports, form.file.data
    with reading() as session:
        get_list(session, slug)
    max_bytes = settings().import_largest
    stored = imports.store_import_file(uploaded.stream, folder, max_bytes=max_bytes)
    action.on_failure(lambda: imports.delete_import_file(folder, stored.name))
    with imports.open_import_file(folder, stored.name) as file:
        layout = imports.detect_file_layout(file)
    mailing_list = get_list(action.session, slug)
    import_run = imports.create_import(
        action.session, mailing_list, stored, uploaded.filename, layout, now=action.now
    )
    return action.done("", url_for(".show", slug=slug, import_id=import_run.id))


@page_view(blueprint, Access.ADMIN, IMPORT_PATH)
def show(session: Session, slug: str, import_id: int, form: ImportForm | None = None) -> str:
    mailing_list = get_list(session, slug)
    import_run = imports.get_import(session, mailing_list.id, import_id)
    if import_run.state is ImportState.UPLOADED:
        return _mapping_page(form or ImportForm.of_import(import_run), import_run)
    campaign = find_campaign_of_import(session, import_run.id)
    obstacle = repermission.find_repermission_obstacle(session, import_run)
    has_new = bool(import_run.outcome_counts.get("new"))
    return render_template(
        "admin/imports/show.html",
        mailing_list=mailing_list,
        import_run=import_run,
        is_running=import_run.state in WORKER_STATES,
        outcomes=imports.OUTCOME_WORDS,
        row_problems=imports.list_import_problems(session, import_run),
        explain_problem=imports.explain_problem,
        can_undo=imports.can_undo_import(session, import_run),
        can_start_repermission=obstacle is None and has_new,
        repermission=measure_repermission_progress(session, campaign, now=utc_now()),
    )


def _mapping_page(form: ImportForm, import_run: ImportRun) -> str:
    try:
        preview = imports.preview_import(settings().imports, import_run)
    except NotFound as error:
        preview = imports.ImportPreview([], [], [])
        form.refuse(Invalid({"file": str(error)}))
    for field in form:
        if field.name.startswith("column_"):
            field.labels = dict(enumerate(preview.names))
    return render_template(
        "admin/imports/mapping.html",
        mailing_list=import_run.mailing_list,
        import_run=import_run,
        form=form,
        preview=preview,
        vendor=find_vendor(preview.names),
        explain_problem=imports.explain_problem,
    )


@page_view(blueprint, Access.ADMIN, f"{IMPORT_PATH}/progress")
def show_progress(session: Session, slug: str, import_id: int) -> ResponseReturnValue:
    import_run = imports.get_import(session, get_list(session, slug).id, import_id)
    answer = make_response(render_template("admin/imports/progress.html", import_run=import_run))
    answer.add_etag()
    return answer.make_conditional(request)


@blueprint.post(IMPORT_PATH)
@staff_action(Access.ADMIN, ImportForm, page=show, refused_to=".show")
def update(action: StaffAction, form: ImportForm, slug: str, import_id: int) -> ResponseReturnValue:
    """Store the mapping. The button "check" starts the dry run, the other the preview."""
    import_run = _lock_import(action, slug, import_id)
    form.store(import_run)
    if not form.wants_check.data:
        return _mapping_page(form, import_run)
    imports.start_dry_run(action.session, import_run, now=action.now)
    return _continue(action, slug, import_run)


@blueprint.post(f"{IMPORT_PATH}/start")
@staff_action(Access.ADMIN, refused_to=".show")
def start(action: StaffAction, slug: str, import_id: int) -> ResponseReturnValue:
    import_run = _lock_import(action, slug, import_id)
    if import_run.state is not ImportState.DRY_RUN_DONE:
        raise Conflict("The file has to be checked before it is imported.")
    import_run.account_id = current_user.id
    imports.start_import(action.session, import_run, now=action.now)
    detail = {"import": import_run.id, "consent_source": import_run.consent_source}
    action.audit("import_started", "list", slug, **detail)
    return _continue(action, slug, import_run)


def _add_button(name: str, path: str, rule: Callable[[ImportRun, datetime], None]) -> None:
    """A button that only applies a rule to an import."""

    @staff_action(Access.ADMIN, refused_to=".show")
    def press(action: StaffAction, slug: str, import_id: int) -> ResponseReturnValue:
        import_run = _lock_import(action, slug, import_id)
        rule(import_run, action.now)
        return _continue(action, slug, import_run)

    blueprint.post(f"{IMPORT_PATH}/{path}", endpoint=name)(press)


_add_button("remap", "mapping", lambda run, _now: imports.reopen_import_layout(run))
_add_button("stop", "stop", lambda run, _now: imports.stop_import(run))
_add_button("resume", "resume", lambda run, now: imports.resume_import(run, now=now))


@blueprint.post(f"{IMPORT_PATH}/undo")
@staff_action(Access.ADMIN, refused_to=".show")
def undo(action: StaffAction, slug: str, import_id: int) -> ResponseReturnValue:
    import_run = _lock_import(action, slug, import_id)
    imports.start_undo(import_run, now=action.now)
    action.audit("import_undone", "list", slug, **{"import": import_run.id})
    return _continue(action, slug, import_run)


def _lock_import(action: StaffAction, slug: str, import_id: int) -> ImportRun:
    list_id = get_list(action.session, slug).id
    return imports.get_import(action.session, list_id, import_id, lock=True)


def _continue(action: StaffAction, slug: str, import_run: ImportRun) -> ResponseReturnValue:
    """Wake a worker, and show the import."""
    action.wake("run_imports")
    return action.done("", url_for(".show", slug=slug, import_id=import_run.id))


@page_view(blueprint, Access.ADMIN, f"{IMPORT_PATH}/report.csv")
def download_report(session: Session, slug: str, import_id: int) -> ResponseReturnValue:
    import_run = imports.get_import(session, get_list(session, slug).id, import_id)
    return stream_download(
        lambda session: imports.stream_problem_report(session, import_run),
        f"import-{import_id}-report.csv",
    )


@blueprint.post("/export.csv")
@staff_action(Access.ADMIN)
def export(action: StaffAction, slug: str) -> ResponseReturnValue:
    """The whole list as CSV.

    A POST, so that no link and no prefetching browser exports a list by accident.
    """
    list_id = get_list(action.session, slug).id
    action.audit("list_exported", "list", slug)
    return stream_download(
        lambda session: imports.stream_list_export(session, list_id),
        f"{slug}-{action.now:%Y-%m-%d}.csv",
    )
