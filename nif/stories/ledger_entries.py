"""What the ledger holds of a revision, and whether live revisions still say it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.ledger.chain import PublishedEntry, append_entry, delete_entry_payload
from nif.ledger.models import LedgerEntry, LedgerEntryKind
from nif.stories.models import ChangeKind, Revision, Story

TEXT_FIELDS = ("headline", "dek", "lead", "byline", "slug", "n")
LIST_FIELDS = ("sections", "block", "sources", "tags")


def revision_payload_of(revision: Revision) -> dict[str, Any]:
    """All that readers saw, and nobody's number: answers are signed by name.

    A picture is named only where there is one, so that entries from before still verify.
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


def append_revision_to_ledger(session: Session, revision: Revision) -> None:
    """Put a revision at the end of the ledger, last thing in its transaction.

    What was removed is deleted there too, for everybody can read it; the chain stays whole.
    """
    if revision.kind is ChangeKind.REMOVAL:
        query = select(LedgerEntry.seq).where(
            LedgerEntry.story == revision.slug, LedgerEntry.revision.is_not(None)
        )
        for seq in session.scalars(query).all():
            delete_entry_payload(session, seq)
    append_entry(
        session,
        LedgerEntryKind(revision.kind.value),
        revision_payload_of(revision),
        story=revision.slug,
        revision=revision.n,
        now=revision.published_at,
    )


class LiveRevisions:
    """Answers for entries about revisions: what the live row says, or that it is gone."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(
        self, lines: Sequence[PublishedEntry]
    ) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
        about = {(line.story, line.revision): line.seq for line in lines if line.revision}
        slugs = {slug for slug, _ in about}
        query = select(Story.slug, Revision).join(Story, Story.id == Revision.story_id)
        rows = self._session.execute(query.where(Story.slug.in_(slugs))) if about else ()
        live: dict[tuple[str | None, int | None], dict[str, Any]] = {
            (slug, revision.n): revision_payload_of(revision)
            for slug, revision in rows
            if (slug, revision.n) in about
        }
        for key, seq in about.items():
            yield seq, live.get(key)
