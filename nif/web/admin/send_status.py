"""What the state of a send, of a slot and of the house means to a person, and what they can do."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from nif.editions.models import EditionState
from nif.sends.certificates import DeliveryCounts, SendCertificate
from nif.sends.circuit_breaker import BreakerCause, CircuitBreaker
from nif.sends.models import Send, SendState, SendStopCause
from nif.sends.send_quota import SendLimits

SLOT_LABELS = {
    EditionState.FROZEN: ("About to be sent", "About to be sent"),
    EditionState.EMPTY: ("Nothing new, so nothing was sent", "Nothing new"),
    EditionState.MISSED: ("Missed because NIF was down", "Missed"),
    EditionState.WITHDRAWN: ("Taken back before anyone was mailed", "Taken back"),
}
"""What became of a slot, in a sentence and in a word or two."""

EVENT_LABELS = {
    "processed": ("Processed", "taken in hand by SendGrid"),
    "delivered": ("Delivered", "taken by the reader’s own provider"),
    "deferred": ("Deferred", "put off for a while; SendGrid tries for three days"),
    "bounce": ("Bounced", "the address does not exist; suppressed from now on"),
    "blocked": ("Blocked", "turned away for now; not suppressed"),
    "dropped": ("Dropped", "on one of SendGrid’s own lists, so not mailed"),
    "spamreport": ("Complained", "called it spam; suppressed from now on"),
    "unsubscribe": ("Unsubscribed", "left by way of SendGrid"),
    "group_unsubscribe": ("Unsubscribed", "left by way of SendGrid’s groups"),
    "open": ("Opened", "only where tracking was turned on at SendGrid"),
    "machine_open": ("Opened by a machine", "a mail program’s own look, and no person’s"),
    "click": ("Clicked", "only where tracking was turned on at SendGrid"),
}
"""SendGrid's names of events: what to call them, and what they mean. In the order of a mail."""


@dataclass(frozen=True)
class TroubleExplanation:
    """What is the matter: which kind it is, what it means, and what to do."""

    kind: str
    means: str
    todo: str


_PAUSE_EXPLANATIONS = {
    SendStopCause.BY_HAND: TroubleExplanation(
        "Paused",
        "Someone paused this send. Nobody more is mailed, and nothing is lost.",
        "Go on when you like: it continues where it stopped.",
    ),
    SendStopCause.CONTENT: TroubleExplanation(
        "Deciding",
        "SendGrid refused the mail itself, so every copy would be refused. Nobody more is mailed.",
        "Put right what it names, often the sender’s address, then go on. If the edition itself is "
        "at fault, cancel this send: its text is frozen.",
    ),
    SendStopCause.TOO_LARGE: TroubleExplanation(
        "Deciding",
        "SendGrid takes no mail of this size. Nobody more is mailed.",
        "Cancel this send. Fewer or shorter stories make a smaller digest.",
    ),
    SendStopCause.TOO_LATE: TroubleExplanation(
        "Deciding",
        "This was not to go out after its time. What has not left is kept, and nothing is lost.",
        "If the news still stands, go on: no time limit holds then, unless you set a new one "
        "below. If it is old news by now, cancel.",
    ),
    SendStopCause.COMPLAINTS: TroubleExplanation(
        "Deciding",
        "So many complaints cost the whole house its good name: Gmail refuses mail at 0.3\u00a0%. "
        "Nobody more is mailed.",
        "Find out first why readers did not expect this mail: what they signed up for, and when. "
        "Then cancel, or go on if you are sure.",
    ),
    SendStopCause.BOUNCES: TroubleExplanation(
        "Deciding",
        "So many addresses that do not exist come only of a list that was not asked. They are "
        "suppressed already. Nobody more is mailed.",
        "Find out where the list came from. Then cancel, or go on if you are sure.",
    ),
    SendStopCause.FAULT: TroubleExplanation(
        "Deciding",
        "NIF itself stumbled over this send and stopped it; other sends go on. Nothing is lost: "
        "what may have left is listed below as uncertain, and is not mailed again by itself.",
        "Look for these words in the worker’s log and report them. Then go on: whoever was "
        "accepted is not mailed again.",
    ),
    SendStopCause.UNBALANCED: TroubleExplanation(
        "Deciding",
        "The ledger of this send contradicts itself, so it is not called finished.",
        "Report this together with the certificate, which names what does not add up. Do not go "
        "on before someone has looked.",
    ),
}

_BREAKER_EXPLANATIONS = {
    BreakerCause.SLOWER: TroubleExplanation(
        "Waiting",
        "We post faster than SendGrid allows just now. Nothing was lost.",
        "Nothing to do: it goes on by itself.",
    ),
    BreakerCause.UNREACHABLE: TroubleExplanation(
        "Retrying",
        "No connection to SendGrid. What was to go out has not left, and nothing was lost.",
        "Nothing to do at first: it tries again by itself. If it lasts, look at this machine’s "
        "network and at status.sendgrid.com.",
    ),
    BreakerCause.KEY: TroubleExplanation(
        "Deciding",
        "SendGrid does not know our key. It took nothing, so nobody is mailed twice, and no "
        "reader is marked as failed.",
        "Check NIF_SENDGRID_API_KEY: it may be mistyped, deleted, or of another account. Set it, "
        "restart the worker, then press “Try now”.",
    ),
    BreakerCause.LOCKED: TroubleExplanation(
        "Deciding",
        "SendGrid does not let this account or this key send. It took nothing, and no reader is "
        "marked as failed.",
        "In SendGrid, give the key the permission “Mail Send”, verify the sender’s address or "
        "domain, and look whether the account is suspended or out of credits. Then press "
        "“Try now”.",
    ),
    BreakerCause.FAILING: TroubleExplanation(
        "Retrying",
        "SendGrid fails to answer, or fails inside. What was under way is kept as uncertain, and "
        "is not posted again until there is proof.",
        "Nothing to do at first: it tries again by itself, and events from SendGrid settle what "
        "is uncertain. If it lasts, look at status.sendgrid.com.",
    ),
}


def explain_pause(send: Send) -> TroubleExplanation | None:
    """What stopped a send; None where nothing did, or nothing is left to do about it."""
    if send.state is not SendState.PAUSED:
        return None
    return _PAUSE_EXPLANATIONS[send.cause or SendStopCause.BY_HAND]


def explain_breaker(found: CircuitBreaker) -> TroubleExplanation:
    """What the brake of the house means."""
    return _BREAKER_EXPLANATIONS[found.cause or BreakerCause.FAILING]


def describe_send_state(
    send: Send, tally: DeliveryCounts, *, braked: bool = False, now: datetime
) -> str:
    """What the send is doing, in a few words."""
    if send.state is not SendState.SENDING:
        return send.state.value.capitalize()
    if send.starts_at > now:
        return "About to begin"
    if tally.pending == 0 and tally.uncertain > 0:
        return "Waiting for proof"
    return "Waiting for SendGrid" if braked else "Sending"


def describe_limits(limits: SendLimits, today: date) -> list[str]:
    """What the house itself has set for its pace, as it holds today."""
    hourly = limits.per_hour(today)
    said = []
    if limits.per_second is not None:
        said.append(f"at most {limits.per_second:g} a second")
    if hourly is not None:
        said.append(f"at most {hourly:,} an hour while the sender’s address warms up")
    if limits.per_day is not None:
        said.append(f"at most {limits.per_day:,} a day")
    return said


def describe_copies_out(tally: DeliveryCounts) -> str:
    """How many copies are out of our hands, exactly."""
    sentence = f"{tally.accepted + tally.uncertain:,} of {tally.audience:,} copies had left"
    return (
        f"{sentence}, {tally.uncertain:,} of them uncertain." if tally.uncertain else sentence + "."
    )


def explain_incompleteness(made: SendCertificate) -> list[str]:
    """Why a certificate is not called complete; nothing where it is."""
    said = []
    if made.held:
        said.append(
            f"{made.held:,} {'is' if made.held == 1 else 'are'} held: accepted or not, nobody can "
            "know yet. Their batches wait for proof, or for a person to decide."
        )
    if made.pending and made.state == SendState.CANCELLED:
        said.append(
            f"{made.pending:,} {'was' if made.pending == 1 else 'were'} not mailed, because the "
            "send was cancelled before their turn."
        )
    elif made.pending:
        said.append(f"{made.pending:,} {'waits' if made.pending == 1 else 'wait'} for their turn.")
    return said + [f"The rows do not add up: {fault}. Please report this." for fault in made.faults]


def label_event_counts(counts: dict[str, int]) -> list[tuple[str, str, int]]:
    """What came in about a send: what to call each kind, what it means, and how many."""
    unknown = sorted(counts.keys() - EVENT_LABELS.keys())
    kinds = [kind for kind in EVENT_LABELS if kind in counts] + unknown
    return [(*EVENT_LABELS.get(kind, (kind, "")), counts[kind]) for kind in kinds]


def format_clock_time(moment: datetime, zone: str) -> str:
    """A time of day to the second, on a list's own clock."""
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M:%S}"
