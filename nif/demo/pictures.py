"""The pictures of the demo newsroom: received, cleaned and kept as an editor's would be."""

from datetime import datetime
from io import BytesIO

from sqlalchemy.orm import Session

from nif.demo.drawing import a_record, a_waveform
from nif.media.describing import Description
from nif.media.keeping import Framing, Taken, change, keep
from nif.media.models import SourceType
from nif.media.opening import clean, master_of
from nif.media.preparing import prepare_one
from nif.media.receiving import receive
from nif.media.storing import Storage, name_of

CREDIT = "Drawn by code/NIF demo"
LARGEST = 25_000_000
PICTURES = (
    (
        "waveform",
        a_waveform,
        Framing(0.66, 0.5),
        "The waveform of a track as a row of dark bars; one phrase of it is marked in red.",
        "A phrase that was sampled is marked. This is a drawing of the demo, not of a real track.",
    ),
    (
        "record",
        a_record,
        Framing(0.675, 0.48),
        "A vinyl record with a red label, seen from above.",
        "A drawing of the demo.",
    ),
)


def hang(session: Session, storage: Storage, *, now: datetime) -> dict[str, int]:
    """Put the demo's pictures into the library, with their files; returns their ids by name."""
    hung = {}
    for name, draw, framing, alt, caption in PICTURES:
        said = Description(
            alt=alt,
            caption=caption,
            credit=CREDIT,
            licence="CC0 1.0",
            licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
            source_type=SourceType.CREATION,
        )
        picture = keep(session, _taken(draw(), storage), said, by=None, now=now)
        change(session, picture, said, framing, edits=0, now=now)
        prepare_one(session, storage, picture)
        hung[name] = picture.id
    return hung


def _taken(data: bytes, storage: Storage) -> Taken:
    with receive(BytesIO(data), most=LARGEST) as received:
        image = clean(received.file, received.kind)
    master = master_of(image)
    name = name_of(master, "master", of=received.sha256)
    storage.put(name, master)
    return Taken(received.sha256, name, image.width, image.height, had_provenance=False)
