"""From a file that was sent to a picture in the library, or to the sentences that say why not."""

from werkzeug.datastructures import FileStorage

from nif.clock import utc_now
from nif.errors import Invalid
from nif.media.describing import check
from nif.media.keeping import Taken, expect_new, keep
from nif.media.opening import clean, master_of
from nif.media.receiving import Received, receive, refused
from nif.media.storing import name_of
from nif.web.current import parts, reading, settings, transaction
from nif.web.newsroom.noting import note_that
from nif.web.newsroom.picture_form import PictureForm, description_of


def take_in(file: FileStorage | None, form: PictureForm, *, by: int) -> int:
    """The id of a new picture. Raises Invalid, KnownAlready.

    No transaction is open while the file is decoded and its master is stored.
    """
    if file is None or not file.filename:
        raise _with_texts(refused("Choose the file of a picture."), form)
    try:
        with receive(file.stream, most=settings().media_largest) as received:
            return _take_in(received, form, by)
    except Invalid as error:
        raise _with_texts(error, form) from None


def _take_in(received: Received, form: PictureForm, by: int) -> int:
    said = description_of(form)
    check(said, source_told=received.source_told)
    with reading() as session:
        expect_new(session, received.sha256)
    taken = _stored(received)
    with transaction() as session:
        kept = keep(session, taken, said, by=by, now=utc_now())
        note_that(session, "picture_added", "picture", kept.id, alt=kept.alt)
        return kept.id


def _stored(received: Received) -> Taken:
    image = clean(received.file, received.kind)
    master = master_of(image)
    name = name_of(master, "master", of=received.sha256)
    parts().storage.put(name, master)
    return Taken(
        received.sha256,
        name,
        image.width,
        image.height,
        had_provenance=received.had_provenance,
        source_told=received.source_told,
    )


def _with_texts(error: Invalid, form: PictureForm) -> Invalid:
    """All that is wrong at once: about the file, and about what was typed beside it."""
    found = dict(error.problems)
    try:
        check(description_of(form))
    except Invalid as more:
        found = {**more.problems, **found}
    return Invalid(found)
