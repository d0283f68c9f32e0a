"""What the state of a send and of a slot means to a person, and what they can do about it."""

import re
from dataclasses import dataclass
from datetime import datetime

from nif.editions.models import EditionState
from nif.sends.certifying import Tally
from nif.sends.models import Send, SendState

SLOTS = {
    EditionState.FROZEN: "Sent",
    EditionState.EMPTY: "Nothing new, so nothing was sent",
    EditionState.MISSED: "Missed because NIF was down",
}


@dataclass(frozen=True)
class Trouble:
    """What is the matter: which kind it is, what it means, and what to do."""

    kind: str
    means: str
    todo: str


_BY_HAND = Trouble(
    "Paused",
    "Someone paused this send. Nobody more is mailed, and nothing is lost.",
    "Go on when you like: it continues where it stopped.",
)
_CONTENT = Trouble(
    "Deciding",
    "SendGrid refused the mail itself, so every copy would be refused. Nobody more is mailed.",
    "Put right what it names, often the sender’s address, then go on. If the edition itself is at "
    "fault, cancel this send: its text is frozen.",
)
_TOO_LARGE = Trouble(
    "Deciding",
    "SendGrid takes no mail of this size. Nobody more is mailed.",
    "Cancel this send. Fewer or shorter stories make a smaller digest.",
)
_SLOWER = Trouble(
    "Waiting",
    "We post faster than SendGrid allows just now. Nothing was lost.",
    "Nothing to do: it goes on by itself.",
)
_UNREACHABLE = Trouble(
    "Retrying",
    "No connection to SendGrid. Nothing has left, and nothing was lost.",
    "Nothing to do at first: it tries again by itself. If it lasts, look at this machine’s network "
    "and at status.sendgrid.com.",
)
_KEY = Trouble(
    "Retrying",
    "SendGrid does not know our key. It took nothing, so nobody is mailed twice.",
    "Check NIF_SENDGRID_API_KEY: it may be mistyped, deleted, or of another account. Set it, "
    "restart the worker, then press “Try again now”.",
)
_FORBIDDEN = Trouble(
    "Retrying",
    "SendGrid knows the key, but does not let it send. It took nothing.",
    "In SendGrid, give the key the permission “Mail Send”, verify the sender’s address or domain, "
    "and look whether the account is suspended or out of credits. Then press “Try again now”.",
)
_LOCKED = Trouble(
    "Retrying",
    "SendGrid does not take mail from our account as it is. It took nothing.",
    "Look at the account in SendGrid: its plan, credits, settings. Then press “Try again now”.",
)
_NO_ANSWER = Trouble(
    "Retrying",
    "SendGrid fails to answer, or fails inside. What was under way is listed below as uncertain; "
    "it is not posted again until there is proof.",
    "Nothing to do at first: it tries again by itself, and events from SendGrid settle what is "
    "uncertain. If it lasts, look at status.sendgrid.com.",
)
_OTHER = Trouble(
    "Retrying",
    "A request did not go through. Nothing was lost.",
    "Nothing to do at first: it tries again by itself. If it lasts, look at the worker’s log.",
)

_SIGNS = (
    ("Paused by hand", _BY_HAND),
    ("The mail itself was refused", _CONTENT),
    ("The mail is too large", _TOO_LARGE),
    (r"\(429\)", _SLOWER),
    ("cannot be reached", _UNREACHABLE),
    (r"answered 401\b", _KEY),
    (r"answered 403\b", _FORBIDDEN),
    (r"answered 4\d\d\b", _LOCKED),
    (r"answered 5\d\d\b|no whole answer|times in a row", _NO_ANSWER),
)


def trouble(send: Send) -> Trouble | None:
    """What the send's trouble means; None where there is none, or nothing more to do."""
    if send.trouble is None or send.state in {SendState.FINISHED, SendState.CANCELLED}:
        return None
    found = (meaning for sign, meaning in _SIGNS if re.search(sign, send.trouble))
    return next(found, _OTHER if send.state is SendState.SENDING else _BY_HAND)


def state(send: Send, tally: Tally, *, now: datetime) -> str:
    """What the send is doing, in a few words."""
    if send.state is not SendState.SENDING:
        return send.state.value.capitalize()
    if send.not_before is not None and send.not_before > now:
        return "Waiting to try again"
    if tally.pending == 0 and tally.uncertain > 0:
        return "Waiting for proof"
    return "Sending"
