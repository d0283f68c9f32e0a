"""Bringing readers in from a file: looked at, tried out, done, watched, reported, undone."""

from collections.abc import Callable
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

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotFound
from nif.importing import asking, keeping, steering, telling
from nif.importing.models import AT_WORK, ImportRun, RunState
from nif.importing.naming import vendor_of
from nif.sends.asking import find_of_run
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.admin import exports, house, import_asking, import_form
from nif.web.admin.askings import progress_of
from nif.web.current import parts, reading, settings, transaction
from nif.web.uploads import takes_lists

blueprint = Blueprint("imports", __name__, url_prefix="/admin/lists/<slug>")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(exports.blueprint)
blueprint.register_blueprint(import_asking.blueprint)

ONE = f"/import/<int(max={2**63 - 1}):run_id>"
Deed = Callable[[Session, ImportRun, datetime], None]


@blueprint.get("/import")
@open_to(Access.ADMIN)
def new(slug: str) -> ResponseReturnValue:
    return _new(slug)


@blueprint.post("/import")
@open_to(Access.ADMIN)
@takes_lists
def take(slug: str) -> ResponseReturnValue:
    file = request.files.get("file")
    folder, most = settings().imports, settings().import_largest
    with reading() as session:
        get_list(session, slug)
    try:
        if file is None or not file.filename:
            raise Invalid({"file": "Choose a file."})
        stored = keeping.keep(file.stream, folder, most=most)
        run_id = _begin(slug, stored, file.filename)
    except Invalid as error:
        return _new(slug, error.problems), 422
    return redirect(url_for(".one", slug=slug, run_id=run_id), 303)


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def one(slug: str, run_id: int) -> ResponseReturnValue:
    return _page(slug, run_id)


@blueprint.get(f"{ONE}/progress")
@open_to(Access.ADMIN)
def progress(slug: str, run_id: int) -> ResponseReturnValue:
    with reading() as session:
        run = steering.get_run(session, get_list(session, slug).id, run_id)
        answer = make_response(render_template("admin/imports/progress.html", run=run))
    answer.add_etag()
    return answer.make_conditional(request)


@blueprint.post(ONE)
@open_to(Access.ADMIN)
def choose(slug: str, run_id: int) -> ResponseReturnValue:
    """Take the choices; with the button for it, check the whole file by them."""
    chosen = import_form.read(request.form)
    wants_check = "check" in request.form
    try:
        with transaction() as session:
            run = _run(session, slug, run_id)
            columns = import_form.columns_of(chosen)
            steering.choose(run, chosen.encoding, chosen.separator, chosen.has_header, columns)
            if wants_check:
                confirmed = import_form.is_confirmed(chosen)
                steering.state_basis(run, chosen.basis, confirmed=confirmed)
                steering.check(session, run)
    except Invalid as error:
        return _page(slug, run_id, chosen, error.problems), 422
    if not wants_check:
        return _page(slug, run_id, chosen)
    parts().queue.wake("run_imports")
    return redirect(url_for(".one", slug=slug, run_id=run_id), 303)


@blueprint.post(f"{ONE}/start")
@open_to(Access.ADMIN)
def start(slug: str, run_id: int) -> ResponseReturnValue:
    def begin(session: Session, run: ImportRun, now: datetime) -> None:
        if run.state is not RunState.CHECKED:
            raise Conflict("What is imported has to be checked first.")
        run.account_id = current_user.id
        steering.start(session, run, now=now)
        detail = {"import": run.id, "basis": run.basis}
        note(
            session, current_user, "import_begun", kind="list", subject=slug, detail=detail, now=now
        )

    return _do(slug, run_id, begin)


@blueprint.post(f"{ONE}/reread")
@open_to(Access.ADMIN)
def reread(slug: str, run_id: int) -> ResponseReturnValue:
    return _do(slug, run_id, lambda _session, run, _now: steering.reread(run))


@blueprint.post(f"{ONE}/stop")
@open_to(Access.ADMIN)
def stop(slug: str, run_id: int) -> ResponseReturnValue:
    return _do(slug, run_id, lambda _session, run, _now: steering.stop(run))


@blueprint.post(f"{ONE}/resume")
@open_to(Access.ADMIN)
def resume(slug: str, run_id: int) -> ResponseReturnValue:
    return _do(slug, run_id, lambda _session, run, _now: steering.resume(run))


@blueprint.post(f"{ONE}/undo")
@open_to(Access.ADMIN)
def undo(slug: str, run_id: int) -> ResponseReturnValue:
    def take_out(session: Session, run: ImportRun, now: datetime) -> None:
        steering.undo(run)
        detail = {"import": run.id}
        note(
            session,
            current_user,
            "import_undone",
            kind="list",
            subject=slug,
            detail=detail,
            now=now,
        )

    return _do(slug, run_id, take_out)


def _begin(slug: str, stored: keeping.Stored, file_name: str) -> int:
    """The id of a new run of a file; what is no table is not kept. Raises Invalid."""
    folder = settings().imports
    try:
        with keeping.opened(folder, stored.name) as file:
            proposed = steering.propose_form(file)
        with transaction() as session:
            mailing_list = get_list(session, slug)
            run = steering.begin(session, mailing_list, stored, file_name, proposed, now=utc_now())
            return run.id
    except BaseException:
        keeping.forget(folder, stored.name)
        raise


def _run(session: Session, slug: str, run_id: int) -> ImportRun:
    return steering.get_run(session, get_list(session, slug).id, run_id, lock=True)


def _do(slug: str, run_id: int, deed: Deed) -> ResponseReturnValue:
    """Do something to a run and wake a worker; what may not be is told, and changes nothing."""
    try:
        with transaction() as session:
            deed(session, _run(session, slug, run_id), utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        parts().queue.wake("run_imports")
    return redirect(url_for(".one", slug=slug, run_id=run_id), 303)


def _new(slug: str, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
        return render_template(
            "admin/imports/new.html",
            mailing_list=mailing_list,
            runs=steering.runs_of_list(session, mailing_list.id),
            problems=problems or {},
            largest=settings().import_largest,
        )


def _page(
    slug: str,
    run_id: int,
    chosen: import_form.Chosen | None = None,
    problems: dict[str, str] | None = None,
) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
        run = steering.get_run(session, mailing_list.id, run_id)
        if run.state is RunState.READ:
            return _choices(mailing_list, run, chosen or import_form.filled(run), problems or {})
        return render_template(
            "admin/imports/one.html",
            mailing_list=mailing_list,
            run=run,
            moving=run.state in AT_WORK,
            verdicts=telling.VERDICTS,
            problems=telling.problems(session, run),
            why=telling.why,
            can_be_undone=steering.can_be_undone(session, run),
            can_be_asked=asking.why_not(session, run) is None and bool(run.counts.get("new")),
            asked=progress_of(session, find_of_run(session, run.id), now=utc_now()),
        )


def _choices(
    mailing_list: MailingList,
    run: ImportRun,
    chosen: import_form.Chosen,
    problems: dict[str, str],
) -> str:
    try:
        preview = steering.preview(settings().imports, run)
    except NotFound as error:
        preview, problems = steering.Preview([], [], []), {**problems, "file": str(error)}
    return render_template(
        "admin/imports/choices.html",
        mailing_list=mailing_list,
        run=run,
        chosen=chosen,
        problems=problems,
        preview=preview,
        vendor=vendor_of(preview.names),
        why=telling.why,
        form=import_form,
    )
