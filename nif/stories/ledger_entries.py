"""What the ledger records about a revision, and whether live revisions still say the same."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.ledger.chain import PublishedEntry, append_entry, delete_entry_payload
from nif.ledger.models import LedgerEntry, LedgerEntryKind
from nif.ledger.payload_forms import PayloadForms
from nif.ledger.verification import LiveRecord
from nif.stories.models import ChangeKind, Revision, Story

TEXT_FIELDS = ("headline", "dek", "lead", "byline", "slug", "n")
LIST_FIELDS = ("sections", "block", "sources", "tags")


def _build_form_1(revision: Revision) -> dict[str, Any]:
    """All that readers saw, and no account's id: answers are signed by name.

    `picture` is there only where the revision has one.
    """
    answers = {
        question: {name: value for name, value in answer.items() if name != "by_id"}
        for question, answer in revision.answers.items()
    }
    return {
        **{name: getattr(revision, name) for name in TEXT_FIELDS + LIST_FIELDS},
        "story_type": revision.story_type.value,
        "kind": revision.kind.value,
        "summary": revision.summary,
        "answers": answers,
        "content_hash": revision.content_hash,
        **({"picture": revision.picture} if revision.picture else {}),
    }


REVISION_FORMS = PayloadForms[Revision]({1: _build_form_1})


def revision_payload_of(revision: Revision) -> dict[str, Any]:
    """The payload of a new entry about `revision`."""
    return REVISION_FORMS.write(revision)


def append_revision_to_ledger(session: Session, story: Story, revision: Revision) -> None:
    """Append a revision to the ledger, as the last thing in its transaction.

    A removal deletes the payloads of the story's earlier revisions, because everybody can read
    them; the chain stays whole.
    """
    if revision.kind is ChangeKind.REMOVAL:
        query = select(LedgerEntry.seq).where(
            LedgerEntry.story == story.ledger_id, LedgerEntry.revision.is_not(None)
        )
        for seq in session.scalars(query).all():
            delete_entry_payload(session, seq)
    append_entry(
        session,
        LedgerEntryKind(revision.kind.value),
        revision_payload_of(revision),
        story=story.ledger_id,
        revision=revision.n,
        now=revision.published_at,
    )


def map_slugs_by_ledger_id(session: Session, ledger_ids: Collection[str]) -> dict[str, str]:
    """The slugs of stories by the ids that the ledger names them by; unknown ids are left out."""
    query = select(Story.ledger_id, Story.slug).where(Story.ledger_id.in_(ledger_ids))
    return {row.ledger_id: row.slug for row in session.execute(query)}


class LiveRevisions:
    """Answers for entries about revisions: what the live row says, or that it is gone.

    Each revision is recomputed in the form of its own entry, so a field that the payload gained
    later accuses nobody.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, entries: Sequence[PublishedEntry]) -> Iterator[LiveRecord]:
        about = {(entry.story, entry.revision): entry for entry in entries if entry.revision}
        ledger_ids = {ledger_id for ledger_id, _ in about}
        query = select(Story.ledger_id, Revision).join(Story, Story.id == Revision.story_id)
        rows = self._session.execute(query.where(Story.ledger_id.in_(ledger_ids))) if about else ()
        live: dict[tuple[str | None, int | None], Revision] = {
            (ledger_id, revision.n): revision
            for ledger_id, revision in rows
            if (ledger_id, revision.n) in about
        }
        for key, entry in about.items():
            revision = live.get(key)
            yield (
                entry.seq,
                None if revision is None else REVISION_FORMS.recompute(revision, entry.payload),
            )
