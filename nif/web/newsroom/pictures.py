"""The picture library: searching, uploading, describing, cropping and deleting pictures."""

import re
from dataclasses import fields
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session
from wtforms import FormField

from nif.clock import utc_now
from nif.errors import Invalid
from nif.media import library
from nif.media.library import MAX_FIELD_LENGTHS, PictureDescription, PictureFraming, get_picture
from nif.media.models import (
    SHAPE_RATIOS,
    DigitalSourceType,
    Picture,
    PictureShape,
    snapshot_picture,
)
from nif.media.renditions import has_rendering_failed
from nif.media.uploads import receive_upload
from nif.web.access import Access, page_view
from nif.web.current import reading, services, settings
from nif.web.files import accepts_upload
from nif.web.forms import Choice, Form, Hidden, Line, Tick, Upload, required
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_pictures", __name__, url_prefix="/newsroom/pictures")

PICTURE_PATH = "/<id:picture_id>"
SOURCE_TYPE_LABELS = {
    DigitalSourceType.CAPTURE: "A photograph",
    DigitalSourceType.CREATION: "A drawing or graphic made by a person",
    DigitalSourceType.DATA_DRIVEN: "A chart drawn from data",
    DigitalSourceType.SCREEN: "A screenshot",
    DigitalSourceType.PRINT: "A scan of a print or document",
    DigitalSourceType.COMPOSITE: "A composite of several photographs",
    DigitalSourceType.WITH_AI: "Partly made with AI",
    DigitalSourceType.BY_AI: "Made by AI",
}
SHAPE_LABELS = {
    PictureShape.ORIGINAL: "Original",
    PictureShape.WIDE: "Wide, 16:9",
    PictureShape.CARD: "Card, 4:3",
    PictureShape.SQUARE: "Square, 1:1",
    PictureShape.SHARE: "Shared links, 1200 by 630",
}
DESCRIPTION_FIELDS = tuple(field.name for field in fields(PictureDescription))


class DescriptionForm(Form):
    """The fields of PictureDescription."""

    alt = Line("Description (alt text)", most=MAX_FIELD_LENGTHS["alt"])
    is_decorative = Tick("Decorative only: people who cannot see it miss nothing")
    caption = Line("Caption", most=MAX_FIELD_LENGTHS["caption"])
    credit = Line("Credit", most=MAX_FIELD_LENGTHS["credit"])
    credit_url = Line("Link for the credit", most=MAX_FIELD_LENGTHS["credit_url"])
    licence = Line("Licence", most=MAX_FIELD_LENGTHS["licence"])
    licence_url = Line("Link for the licence", most=MAX_FIELD_LENGTHS["licence_url"])
    source_type = Choice(
        "How it was made",
        SOURCE_TYPE_LABELS,
        empty="Choose…",
        problem="Choose how this picture was made.",
        validators=[required("Choose how this picture was made.")],
    )

    def validate(self, extra_validators: Any = None) -> bool:
        is_valid = super().validate(extra_validators)
        try:
            library.check_picture_description(self.description())
        except Invalid as error:
            self.refuse(error)
        return is_valid and not self.problems

    def description(self) -> PictureDescription:
        return PictureDescription(**{name: self[name].data for name in DESCRIPTION_FIELDS})


class UploadForm(DescriptionForm):
    file = Upload("File", validators=[required("Choose a picture file.")])


class CropForm(Form):
    """A manual crop, in percent of the picture's width, height and width."""

    is_manual = Tick("Crop this shape manually")
    left = Line("Left", default="0", most=20)
    top = Line("Top", default="0", most=20)
    width = Line("Width", default="100", most=20)


class PictureForm(DescriptionForm):
    """`edits` is the picture's count of saves when the editor opened the form."""

    focus_x = Line("From the left, in percent", default="50", most=20)
    focus_y = Line("From the top, in percent", default="50", most=20)
    wide = FormField(CropForm)
    card = FormField(CropForm)
    square = FormField(CropForm)
    share = FormField(CropForm)
    edits = Hidden()

    def framing(self) -> PictureFraming:
        """Unreadable numbers become -1, which the library refuses."""
        crops = {shape.value: self[shape.value].data for shape in SHAPE_RATIOS}
        return PictureFraming(
            _fraction(self.focus_x.data),
            _fraction(self.focus_y.data),
            {
                shape: [_fraction(crop[edge]) for edge in ("left", "top", "width")]
                for shape, crop in crops.items()
                if crop["is_manual"]
            },
        )


def _picture_form_of(picture: Picture) -> PictureForm:
    crops = {
        shape: dict(zip(("left", "top", "width"), map(_percent, crop), strict=True))
        for shape, crop in picture.crops.items()
    }
    return PictureForm(
        data={
            **{name: getattr(picture, name) for name in DESCRIPTION_FIELDS},
            **{shape: {"is_manual": True, **crop} for shape, crop in crops.items()},
            "focus_x": _percent(picture.focus_x),
            "focus_y": _percent(picture.focus_y),
        }
    )


def _fraction(percent: str) -> float:
    """0 to 100 percent as 0 to 1; -1 for other text."""
    match = re.fullmatch(r"\d{1,3}(?:[.,]\d{1,4})?", percent, re.ASCII)
    return float(percent.replace(",", ".")) / 100 if match else -1.0


def _percent(part: float) -> str:
    return f"{part * 100:.2f}".rstrip("0").rstrip(".")


@page_view(blueprint, Access.EDITOR, "/")
def index(session: Session) -> str:
    query = request.args.get("q", "").strip()[:200]
    page = library.list_pictures(session, words=query, after=request.args.get("after"))
    snapshots = {
        picture.id: snapshot_picture(picture) for picture in page.rows if picture.ready_set
    }
    return render_template(
        "newsroom/pictures/index.html", page=page, snapshots=snapshots, query=query
    )


@page_view(blueprint, Access.EDITOR, "/new")
def new(_session: Session, form: UploadForm | None = None) -> str:
    form = form or UploadForm(credit=f"{current_user.name}/{settings().site_short_name}")
    return render_template(
        "newsroom/pictures/new.html", form=form, max_bytes=settings().media_largest
    )


@blueprint.post("/new")
@accepts_upload("media_largest")
@staff_action(Access.EDITOR, UploadForm, page=new)
def create(action: StaffAction, form: UploadForm) -> ResponseReturnValue:
    try:
        picture = _add_uploaded_picture(action, form)
    except library.DuplicatePicture as error:
        flash("This file is already in the library, shown here. What you typed was not saved.")
        return redirect(url_for(".show", picture_id=error.picture_id), 303)
    action.audit("picture_added", "picture", picture.id, alt=picture.alt)
    action.wake("make_renditions")
    return action.done("The picture is in the library.", url_for(".show", picture_id=picture.id))


def _add_uploaded_picture(action: StaffAction, form: UploadForm) -> Picture:
    """Add the uploaded picture to the library. Raises Invalid, library.DuplicatePicture.

    No transaction is open while the file is decoded and its master is stored.
    """
    description = form.description()
    with receive_upload(form.file.data.stream, most=settings().media_largest) as received:
        library.check_picture_description(
            description, declared_source_type=received.declared_source_type
        )
        with reading() as session:
            library.check_not_in_library(session, received.sha256)
        stored = library.store_master(services().storage, received)
    return library.add_picture(
        action.session, stored, description, by=current_user.id, now=action.now
    )


@page_view(blueprint, Access.EDITOR, PICTURE_PATH)
def show(session: Session, picture_id: int, form: PictureForm | None = None) -> str:
    picture = get_picture(session, picture_id)
    return render_template(
        "newsroom/pictures/show.html",
        form=form or _picture_form_of(picture),
        picture=picture,
        snapshot=snapshot_picture(picture) if picture.ready_set else None,
        total_bytes=sum(rendition.size for rendition in picture.renditions),
        rendering_failed=has_rendering_failed(picture, now=utc_now()),
        shapes=SHAPE_LABELS,
    )


@blueprint.post(PICTURE_PATH)
@staff_action(Access.EDITOR, PictureForm, page=show)
def update(action: StaffAction, form: PictureForm, picture_id: int) -> ResponseReturnValue:
    picture = get_picture(action.session, picture_id, lock=True)
    library.change_picture(
        action.session,
        picture,
        form.description(),
        form.framing(),
        edits=form.edits.number,
        now=action.now,
    )
    action.audit("picture_changed", "picture", picture_id, alt=picture.alt)
    action.wake("make_renditions")
    return action.done(
        "Saved. Published stories keep the picture as it was when they were published.",
        url_for(".show", picture_id=picture_id),
    )


@blueprint.post(f"{PICTURE_PATH}/retry")
@staff_action(Access.EDITOR)
def retry(action: StaffAction, picture_id: int) -> ResponseReturnValue:
    library.retry_renditions(get_picture(action.session, picture_id, lock=True), now=action.now)
    action.wake("make_renditions")
    return action.done("", url_for(".show", picture_id=picture_id))


@page_view(blueprint, Access.EDITOR, f"{PICTURE_PATH}/delete")
def confirm_delete(session: Session, picture_id: int) -> str:
    picture = get_picture(session, picture_id)
    snapshot = snapshot_picture(picture) if picture.ready_set else None
    return render_template(
        "newsroom/pictures/confirm_delete.html", picture=picture, snapshot=snapshot
    )


@blueprint.post(f"{PICTURE_PATH}/delete")
@staff_action(Access.EDITOR, refused_to=".show")
def delete(action: StaffAction, picture_id: int) -> ResponseReturnValue:
    picture = get_picture(action.session, picture_id, lock=True)
    action.audit("picture_deleted", "picture", picture_id, alt=picture.alt)
    file_names = library.delete_picture(action.session, picture)
    action.after_commit(lambda: services().storage.delete(file_names))
    return action.done("The picture is deleted.", url_for(".index"))
