"""The picture library: searching, uploading, describing, cropping and deleting pictures."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.datastructures import FileStorage

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.media import library
from nif.media.library import (
    DuplicatePicture,
    StoredUpload,
    add_picture,
    check_not_in_library,
    check_picture_description,
    get_picture,
    list_pictures,
)
from nif.media.renditions import has_rendering_failed
from nif.media.snapshots import snapshot_picture
from nif.media.storage import content_file_name
from nif.media.uploads import (
    ReceivedUpload,
    build_file_error,
    clean_picture,
    encode_master,
    receive_upload,
)
from nif.web.access import Access, open_to
from nif.web.current import reading, services, settings, transaction
from nif.web.files import accepts_picture_upload
from nif.web.newsroom.audit import audit_action
from nif.web.newsroom.picture_form import (
    SHAPE_LABELS,
    SOURCE_TYPE_LABELS,
    PictureForm,
    description_of,
    framing_of,
    picture_form_of,
    read_picture_form,
)

blueprint = Blueprint("newsroom_pictures", __name__, url_prefix="/newsroom/pictures")

PICTURE_PATH = "/<id:picture_id>"


@blueprint.get("/")
@open_to(Access.EDITOR)
def index() -> ResponseReturnValue:
    query = request.args.get("q", "").strip()[:200]
    with reading() as session:
        page = list_pictures(session, words=query, after=request.args.get("after"))
        snapshots = {
            picture.id: snapshot_picture(picture) for picture in page.rows if picture.ready_set
        }
    return render_template(
        "newsroom/pictures/index.html", page=page, snapshots=snapshots, query=query
    )


@blueprint.get("/new")
@open_to(Access.EDITOR)
def new() -> ResponseReturnValue:
    return _upload_page(PictureForm(credit=f"{current_user.name}/{settings().site_short_name}"))


@blueprint.post("/new")
@open_to(Access.EDITOR)
@accepts_picture_upload
def create() -> ResponseReturnValue:
    form = read_picture_form(request.form)
    try:
        picture_id = add_uploaded_picture(request.files.get("file"), form, by=current_user.id)
    except Invalid as error:
        return _upload_page(form, error.problems), 422
    except DuplicatePicture as error:
        flash("This file is already in the library, shown here. What you typed was not saved.")
        return redirect(url_for(".show", picture_id=error.picture_id), 303)
    services().queue.wake("make_renditions")
    flash("The picture is in the library.", "good")
    return redirect(url_for(".show", picture_id=picture_id), 303)


@blueprint.get(PICTURE_PATH)
@open_to(Access.EDITOR)
def show(picture_id: int) -> ResponseReturnValue:
    return _picture_page(picture_id)


@blueprint.post(PICTURE_PATH)
@open_to(Access.EDITOR)
def update(picture_id: int) -> ResponseReturnValue:
    form = read_picture_form(request.form)
    try:
        description, framing = description_of(form), framing_of(form)
        with transaction() as session:
            picture = get_picture(session, picture_id, lock=True)
            library.change_picture(
                session, picture, description, framing, edits=form.edits, now=utc_now()
            )
            audit_action(session, "picture_changed", "picture", picture_id, alt=picture.alt)
    except Invalid as error:
        return _picture_page(picture_id, form, problems=error.problems), 422
    except Conflict:
        return _picture_page(picture_id, form, overtaken=True), 409
    services().queue.wake("make_renditions")
    flash("Saved. Published stories keep the picture as it was when they were published.", "good")
    return redirect(url_for(".show", picture_id=picture_id), 303)


@blueprint.post(f"{PICTURE_PATH}/retry")
@open_to(Access.EDITOR)
def retry(picture_id: int) -> ResponseReturnValue:
    with transaction() as session:
        library.retry_renditions(get_picture(session, picture_id, lock=True), now=utc_now())
    services().queue.wake("make_renditions")
    return redirect(url_for(".show", picture_id=picture_id), 303)


@blueprint.get(f"{PICTURE_PATH}/delete")
@open_to(Access.EDITOR)
def confirm_delete(picture_id: int) -> ResponseReturnValue:
    with reading() as session:
        picture = get_picture(session, picture_id)
        snapshot = snapshot_picture(picture) if picture.ready_set else None
    return render_template(
        "newsroom/pictures/confirm_delete.html", picture=picture, snapshot=snapshot
    )


@blueprint.post(f"{PICTURE_PATH}/delete")
@open_to(Access.EDITOR)
def delete(picture_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            picture = get_picture(session, picture_id, lock=True)
            audit_action(session, "picture_deleted", "picture", picture_id, alt=picture.alt)
            file_names = library.delete_picture(session, picture)
    except Conflict as error:
        flash(str(error))
        return redirect(url_for(".show", picture_id=picture_id), 303)
    services().storage.delete(file_names)
    flash("The picture is deleted.", "good")
    return redirect(url_for(".index"), 303)


def add_uploaded_picture(file: FileStorage | None, form: PictureForm, *, by: int) -> int:
    """Add an uploaded picture to the library and return its id. Raises Invalid, DuplicatePicture.

    No transaction is open while the file is decoded and its master is stored.
    """
    if file is None or not file.filename:
        raise _with_form_problems(build_file_error("Choose a picture file."), form)
    try:
        with receive_upload(file.stream, most=settings().media_largest) as received:
            return _add_received_picture(received, form, by)
    except Invalid as error:
        raise _with_form_problems(error, form) from None


def _add_received_picture(received: ReceivedUpload, form: PictureForm, by: int) -> int:
    description = description_of(form)
    check_picture_description(description, declared_source_type=received.declared_source_type)
    with reading() as session:
        check_not_in_library(session, received.sha256)
    stored = _store_master(received)
    with transaction() as session:
        picture = add_picture(session, stored, description, by=by, now=utc_now())
        audit_action(session, "picture_added", "picture", picture.id, alt=picture.alt)
        return picture.id


def _store_master(received: ReceivedUpload) -> StoredUpload:
    image = clean_picture(received.file, received.format)
    master = encode_master(image)
    name = content_file_name(master, "master", of=received.sha256)
    services().storage.put(name, master)
    return StoredUpload(
        received.sha256,
        name,
        image.width,
        image.height,
        had_provenance=received.had_provenance,
        declared_source_type=received.declared_source_type,
    )


def _with_form_problems(error: Invalid, form: PictureForm) -> Invalid:
    """The file's problems together with those of the form beside it."""
    problems = dict(error.problems)
    try:
        check_picture_description(description_of(form))
    except Invalid as form_error:
        problems = {**form_error.problems, **problems}
    return Invalid(problems)


def _upload_page(form: PictureForm, problems: dict[str, str] | None = None) -> str:
    return render_template(
        "newsroom/pictures/new.html",
        form=form,
        problems=problems or {},
        source_types=SOURCE_TYPE_LABELS,
        max_bytes=settings().media_largest,
    )


def _picture_page(picture_id: int, form: PictureForm | None = None, **context: Any) -> str:
    with reading() as session:
        picture = get_picture(session, picture_id)
        snapshot = snapshot_picture(picture) if picture.ready_set else None
        total_bytes = sum(rendition.size for rendition in picture.renditions)
    context = {"problems": {}, "overtaken": False, **context}
    return render_template(
        "newsroom/pictures/show.html",
        picture=picture,
        snapshot=snapshot,
        total_bytes=total_bytes,
        rendering_failed=has_rendering_failed(picture, now=utc_now()),
        form=form or picture_form_of(picture),
        saved_edits=picture.edits,
        source_types=SOURCE_TYPE_LABELS,
        shapes=SHAPE_LABELS,
        **context,
    )
