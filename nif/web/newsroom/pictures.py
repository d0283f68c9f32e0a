"""The library of pictures: finding, adding, describing, cutting and deleting them."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.media import keeping
from nif.media.freezing import frozen
from nif.media.keeping import KnownAlready, get_picture
from nif.media.preparing import given_up
from nif.media.reading import library
from nif.web.access import Access, open_to
from nif.web.current import parts, reading, settings, transaction
from nif.web.newsroom.noting import note_that
from nif.web.newsroom.picture_form import (
    HOW_MADE,
    SHAPES,
    PictureForm,
    description_of,
    filled,
    framing_of,
    read,
)
from nif.web.newsroom.picture_upload import take_in
from nif.web.uploads import takes_files

blueprint = Blueprint("newsroom_pictures", __name__, url_prefix="/newsroom/pictures")

ONE = f"/<int(max={2**63 - 1}):picture_id>"


@blueprint.get("/")
@open_to(Access.EDITOR)
def shelf() -> ResponseReturnValue:
    words = request.args.get("q", "").strip()[:200]
    with reading() as session:
        page = library(session, words=words, after=request.args.get("after"))
        records = {one.id: frozen(one) for one in page.pictures if one.made}
    return render_template("newsroom/pictures/shelf.html", page=page, records=records, words=words)


@blueprint.get("/new")
@open_to(Access.EDITOR)
def choose() -> ResponseReturnValue:
    return _upload(PictureForm(credit=f"{current_user.name}/{settings().site_short_name}"))


@blueprint.post("/new")
@open_to(Access.EDITOR)
@takes_files
def take() -> ResponseReturnValue:
    form = read(request.form)
    try:
        picture_id = take_in(request.files.get("file"), form, by=current_user.id)
    except Invalid as error:
        return _upload(form, error.problems), 422
    except KnownAlready as error:
        flash("This very file is in the library already: here it is. What you typed was not kept.")
        return redirect(url_for(".picture", picture_id=error.picture_id), 303)
    parts().queue.wake("prepare")
    flash("The picture is in the library.", "good")
    return redirect(url_for(".picture", picture_id=picture_id), 303)


@blueprint.get(ONE)
@open_to(Access.EDITOR)
def picture(picture_id: int) -> ResponseReturnValue:
    return _page(picture_id)


@blueprint.post(ONE)
@open_to(Access.EDITOR)
def change(picture_id: int) -> ResponseReturnValue:
    form = read(request.form)
    try:
        said, framing = description_of(form), framing_of(form)
        with transaction() as session:
            found = get_picture(session, picture_id, lock=True)
            keeping.change(session, found, said, framing, edits=form.edits, now=utc_now())
            note_that(session, "picture_changed", "picture", picture_id, alt=found.alt)
    except Invalid as error:
        return _page(picture_id, form, problems=error.problems), 422
    except Conflict:
        return _page(picture_id, form, overtaken=True), 409
    parts().queue.wake("prepare")
    flash(
        "Saved. Stories that show this picture keep it as it was when they were published.", "good"
    )
    return redirect(url_for(".picture", picture_id=picture_id), 303)


@blueprint.post(f"{ONE}/again")
@open_to(Access.EDITOR)
def again(picture_id: int) -> ResponseReturnValue:
    with transaction() as session:
        keeping.try_again(get_picture(session, picture_id, lock=True))
    parts().queue.wake("prepare")
    return redirect(url_for(".picture", picture_id=picture_id), 303)


@blueprint.get(f"{ONE}/delete")
@open_to(Access.EDITOR)
def ask(picture_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_picture(session, picture_id)
        record = frozen(found) if found.made else None
    return render_template("newsroom/pictures/delete.html", picture=found, record=record)


@blueprint.post(f"{ONE}/delete")
@open_to(Access.EDITOR)
def delete(picture_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            found = get_picture(session, picture_id, lock=True)
            note_that(session, "picture_deleted", "picture", picture_id, alt=found.alt)
            names = keeping.let_go(session, found)
    except Conflict as error:
        flash(str(error))
        return redirect(url_for(".picture", picture_id=picture_id), 303)
    parts().storage.delete(names)
    flash("The picture is deleted.", "good")
    return redirect(url_for(".shelf"), 303)


def _upload(form: PictureForm, problems: dict[str, str] | None = None) -> str:
    return render_template(
        "newsroom/pictures/new.html",
        form=form,
        problems=problems or {},
        kinds=HOW_MADE,
        largest=settings().media_largest,
    )


def _page(picture_id: int, form: PictureForm | None = None, **given: Any) -> str:
    with reading() as session:
        found = get_picture(session, picture_id)
        record = frozen(found) if found.made else None
        size = sum(one.size for one in found.renditions)
    given = {"problems": {}, "overtaken": False, **given}
    return render_template(
        "newsroom/pictures/picture.html",
        picture=found,
        record=record,
        size=size,
        given_up=given_up(found, now=utc_now()),
        form=form or filled(found),
        saved_edits=found.edits,
        kinds=HOW_MADE,
        shapes=SHAPES,
        **given,
    )
