"""How many readers a correction reached by mail."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.editions.models import NoteDelivery
from nif.sends.models import Batch, BatchState, Send
from nif.stories.publishing import restock


def publish_reach(session: Session, send: Send) -> None:
    """A send is over: the pages of the stories whose notes it carried say how many it reached."""
    carries = select(NoteDelivery.note_id).where(NoteDelivery.edition_id == send.edition_id)
    if session.scalar(carries.limit(1)) is not None:
        restock(session)


def reached(session: Session, note_ids: Sequence[int]) -> dict[int, int]:
    """For each note that was mailed: how many copies of the editions that carried it the provider
    accepted. A reader of two lists whose digests told it counts twice."""
    mailed = Batch.size - Batch.dropped - Batch.refused - Batch.unwritable
    query = (
        select(NoteDelivery.note_id, func.sum(mailed))
        .join(Send, Send.edition_id == NoteDelivery.edition_id)
        .join(Batch, Batch.send_id == Send.id)
        .where(NoteDelivery.note_id.in_(note_ids), Batch.state == BatchState.ACCEPTED)
        .group_by(NoteDelivery.note_id)
    )
    return {note_id: int(count) for note_id, count in session.execute(query)}
