"""Making the readers' copies: all that differs from one to the next, made in bulk."""

import html
from collections.abc import Callable, Iterable
from datetime import datetime

from nif.editions.writing import (
    ANSWER_TAG,
    PREFERENCES_TAG,
    READER_HTML_TAG,
    READER_TAG,
    UNSUBSCRIBE_TAG,
)
from nif.links import Links
from nif.mail.message import Copy
from nif.sends.asking import Answers
from nif.subscriptions.leaving import unsubscribe_tokens, way_out
from nif.subscriptions.preferring import preferences_tokens
from nif.tokens import Tokens

Reader = tuple[int, str]
Copyist = Callable[[Iterable[Reader], datetime], list[Copy]]
"""Of readers and the moment of their attempt."""


def copyist(
    send: tuple[int, int], links: Links, tokens: Tokens, answers: Answers | None = None
) -> Copyist:
    """A function that makes the copies of a send, by its id and its list's, for some readers.

    What they have in common is worked out once; the rest is four microseconds a reader, of which
    the signatures of the two links are most.
    """
    send_id, list_id = send
    unsubscribe = unsubscribe_tokens(list_id, tokens)
    preferences = preferences_tokens(tokens)
    leave_at, prefer_at = links.unsubscribe(""), links.preferences("")
    mark = f"{send_id}."

    def copy(reader: Reader) -> Copy:
        subscriber_id, address = reader
        leave = leave_at + unsubscribe(subscriber_id)
        return Copy(
            address,
            {"nif_d": mark + str(subscriber_id)},
            way_out(leave),
            {
                UNSUBSCRIBE_TAG: leave,
                PREFERENCES_TAG: prefer_at + preferences(subscriber_id),
                READER_TAG: address,
                READER_HTML_TAG: html.escape(address),
            },
        )

    if answers is None:
        return lambda readers, _at: [copy(reader) for reader in readers]
    return _asking(copy, answers)


def _asking(copy: Callable[[Reader], Copy], answers: Answers) -> Copyist:
    """Copies with a link to answer by, of which the moment of the attempt is a part."""

    def make(readers: Iterable[Reader], at: datetime) -> list[Copy]:
        answer = answers(at)
        copies = []
        for reader in readers:
            made = copy(reader)
            made.values[ANSWER_TAG] = answer(reader[0])
            copies.append(made)
        return copies

    return make
