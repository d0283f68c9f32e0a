"""Labels and explanations of the states of sends, slots and the circuit breaker, for admins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from nif.editions.models import EditionState
from nif.sends.certificates import DeliveryCounts, SendCertificate
from nif.sends.circuit_breaker import BreakerCause, CircuitBreaker
from nif.sends.departures import Departures
from nif.sends.models import Send, SendState, SendStopCause
from nif.sends.reputation import BOUNCE_LIMITS, COMPLAINT_LIMITS
from nif.sends.send_quota import SendLimits
from nif.sends.unknown_attempts import UnknownAttempt
from nif.web.admin.charts import format_percent

SLOT_LABELS = {
    EditionState.FROZEN: ("About to be sent", "About to be sent"),
    EditionState.EMPTY: ("No new stories, so nothing was sent", "Nothing new"),
    EditionState.MISSED: ("Missed because NIF was down", "Missed"),
    EditionState.WITHDRAWN: ("Undone before anything was sent", "Undone"),
    EditionState.CANCELLED: ("Cancelled before anything was sent", "Cancelled"),
    EditionState.UNRECORDED: (
        "Sent, but its records were lost when the database went back in time",
        "Sent, unrecorded",
    ),
}
"""The outcome of a slot: a sentence, and a tag of one or two words."""

EVENT_LABELS = {
    "processed": ("Processed", "received by SendGrid"),
    "delivered": ("Delivered", "accepted by the subscriber’s mail provider"),
    "deferred": ("Deferred", "delayed; SendGrid retries for three days"),
    "bounce": ("Bounced", "the address does not exist; suppressed"),
    "blocked": ("Blocked", "rejected for now; not suppressed"),
    "dropped": ("Dropped", "on one of SendGrid’s suppression lists, so not sent"),
    "spamreport": ("Complained", "marked as spam; suppressed"),
    "unsubscribe": ("Unsubscribed", "unsubscribed through SendGrid"),
    "group_unsubscribe": ("Unsubscribed", "unsubscribed through a SendGrid group"),
    "open": ("Opened", "only if tracking is turned on at SendGrid"),
    "machine_open": ("Opened by a machine", "opened by a mail program, not a person"),
    "click": ("Clicked", "only if tracking is turned on at SendGrid"),
}
"""SendGrid's event names, each with a label and an explanation, in the order they occur."""


@dataclass(frozen=True)
class TroubleExplanation:
    """Why something stopped: the meaning, what to do, and a state of one or two words."""

    meaning: str
    advice: str
    state: str = "Stopped: needs you"


_PAUSE_EXPLANATIONS = {
    SendStopCause.MANUAL: TroubleExplanation(
        "Someone paused this send. Nothing more is sent, and nothing is lost.",
        "Resume at any time: it continues where it stopped.",
        "Paused",
    ),
    SendStopCause.CONTENT: TroubleExplanation(
        "SendGrid refused the email itself, so it would refuse every copy. Nothing more is sent.",
        "Fix what SendGrid names, often the sender: set NIF_MAIL_FROM, restart the worker, then "
        "resume, because mail comes from the sender that is set by then. If the edition itself "
        "is at fault, cancel this send, because its text is frozen.",
    ),
    SendStopCause.TOO_LARGE: TroubleExplanation(
        "SendGrid accepts no email of this size. Nothing more is sent.",
        "Cancel this send. Fewer or shorter stories make a smaller digest.",
    ),
    SendStopCause.TOO_LATE: TroubleExplanation(
        "The deadline of this send has passed. The rest is kept, and nothing is lost.",
        "If the news is still current, resume: no deadline applies then unless you set a new one "
        "below. If it is outdated, cancel.",
    ),
    SendStopCause.COMPLAINTS: TroubleExplanation(
        f"The complaint rate reached {format_percent(COMPLAINT_LIMITS.maximum)}: Gmail requires "
        "less, and rejects all mail of senders at 0.3%. Nothing more is sent.",
        "Find out why readers did not expect this email: what they subscribed to, and when. "
        "Then cancel, or resume if you are sure.",
    ),
    SendStopCause.BOUNCES: TroubleExplanation(
        f"The bounce rate reached {format_percent(BOUNCE_LIMITS.maximum)}: confirmed lists do not "
        "have that many invalid addresses. They are suppressed already. Nothing more is sent.",
        "Find out where the list came from. Then cancel, or resume if you are sure.",
    ),
    SendStopCause.FAULT: TroubleExplanation(
        "An error in NIF stopped this send; other sends continue. Nothing is lost: batches that "
        "may have been accepted are listed below as undecided, and NIF does not send them again.",
        "Search the worker’s log for this message and report it. Then resume: accepted copies are "
        "not sent again.",
    ),
    SendStopCause.ARCHIVED: TroubleExplanation(
        "The list was archived while this send was under way. Nothing more is sent, and nothing is "
        "lost.",
        "Resume to send the rest of this edition all the same, or cancel.",
    ),
    SendStopCause.REFUSALS: TroubleExplanation(
        "SendGrid, or a proxy before it, refused more subscribers than confirmed lists have bad "
        "addresses, so NIF does not believe it. The refused are planned again; nothing is lost.",
        "Find out why, from the reason above and from what stands between NIF and SendGrid. Then "
        "resume: the refused are tried again, and nobody gets the email twice.",
    ),
    SendStopCause.UNBALANCED: TroubleExplanation(
        "The records of this send do not add up, so it is not marked as finished.",
        "Report this together with the certificate, which names the discrepancy. Do not resume "
        "before someone has investigated.",
    ),
    SendStopCause.SERIOUS_NOTE: TroubleExplanation(
        "The newsroom has withdrawn what this edition says, so nobody else is mailed it. Those who "
        "were mailed it get the note in a mail of its own. Nothing is lost.",
        "Freeze the edition again without the story: the rest get it like that. Or cancel the "
        "rest. It cannot be resumed as it is.",
    ),
}

_BREAKER_EXPLANATIONS = {
    BreakerCause.RATE_LIMITED: TroubleExplanation(
        "NIF sends faster than SendGrid currently allows. Nothing is lost.",
        "Nothing to do: sending resumes automatically.",
        "Waiting",
    ),
    BreakerCause.UNREACHABLE: TroubleExplanation(
        "SendGrid cannot be reached. Unsent mail is kept, and nothing is lost.",
        "Nothing to do at first: NIF retries automatically. If it persists, check this machine’s "
        "network and status.sendgrid.com.",
        "Retrying",
    ),
    BreakerCause.INVALID_KEY: TroubleExplanation(
        "SendGrid rejected the API key. It accepted nothing, so nobody gets duplicates, and no "
        "subscriber is marked as failed.",
        "Check NIF_SENDGRID_API_KEY: it may be mistyped, deleted, or from another account. Set it, "
        "restart the worker, then press “Try now”.",
    ),
    BreakerCause.LOCKED: TroubleExplanation(
        "SendGrid does not allow this account or API key to send. It accepted nothing, and no "
        "subscriber is marked as failed.",
        "In SendGrid, give the API key the permission “Mail Send”, verify the sender’s address or "
        "domain, and check whether the account is suspended or out of credits. Then press "
        "“Try now”.",
    ),
    BreakerCause.JOURNAL: TroubleExplanation(
        "The journal of what is posted cannot be written or read. NIF posts nothing without it, "
        "so that nobody is mailed twice after a restore. Nothing is lost.",
        "Check the disk or the bucket that NIF_JOURNAL names: is it full, or not writable? NIF "
        "retries automatically.",
    ),
    BreakerCause.FAILING: TroubleExplanation(
        "SendGrid does not answer or reports internal errors. Batches in flight are undecided and "
        "are not sent again until there is proof.",
        "Nothing to do at first: NIF retries automatically, and events from SendGrid decide the "
        "undecided batches. If it persists, check status.sendgrid.com.",
        "Retrying",
    ),
}


def explain_unknown_attempts(unknown: Sequence[UnknownAttempt]) -> TroubleExplanation:
    """What it means that mail was sent of which the database knows nothing."""
    count, copies = len(unknown), sum(one.copies or 0 for one in unknown)
    batches = "1 batch was" if count == 1 else f"{count:,} batches were"
    of_mail = f" ({copies:,} copies)" if copies else ""
    return TroubleExplanation(
        f"The database went back in time: {batches} posted{of_mail} that it does not know, so it "
        "is older than what was sent. Nothing is sent and no digest is made. Nothing is lost.",
        "An operator lists them with `nif send reconcile-journal` and decides there. After that "
        "sending goes on by itself.",
    )


def explain_pause(send: Send) -> TroubleExplanation | None:
    """Why a send is paused. None for a send that is not paused."""
    if send.state is not SendState.PAUSED:
        return None
    return _PAUSE_EXPLANATIONS[send.stop_cause or SendStopCause.MANUAL]


def explain_breaker(breaker: CircuitBreaker) -> TroubleExplanation:
    return _BREAKER_EXPLANATIONS[breaker.cause or BreakerCause.FAILING]


def describe_send_state(
    send: Send, tally: DeliveryCounts, *, breaker_is_open: bool = False, now: datetime
) -> str:
    """The state of a send in a few words."""
    if send.state is not SendState.SENDING:
        return send.state.value.capitalize()
    if send.starts_at > now:
        return "Starting soon"
    if tally.pending == 0 and tally.undecided > 0:
        return "Undecided"
    return "Waiting for SendGrid" if breaker_is_open else "Sending"


def describe_limits(limits: SendLimits, today: date) -> list[str]:
    """The send limits that apply today, from the settings."""
    each = (
        (limits.per_second, "at most {:g} a second"),
        (limits.per_hour(today), "at most {:,} an hour while the sender’s domain warms up"),
        (limits.per_day, "at most {:,} a day"),
    )
    return [sentence.format(limit) for limit, sentence in each if limit is not None]


def describe_departures(out: Departures) -> str:
    """How many copies have left, and what becomes of those that may still leave."""
    sentences = [f"{str(out).capitalize()}."]
    if not out.is_settled:
        why = [f"{out.waiting:,} wait at SendGrid"] if out.waiting else []
        why += [f"{out.open:,} are being posted or are undecided"] if out.open else []
        sentences = [f"{str(out).capitalize()}: {' and '.join(why)}."]
    if out.is_cancelled and out.waiting:
        sentences.append("NIF recalls those that wait there, as long as SendGrid allows it.")
    if out.recalled:
        sentences.append(f"{out.recalled:,} were recalled from SendGrid before they went out.")
    return " ".join(sentences)


TWICE_EXPLANATION = (
    "SendGrid accepted the mail, gave no clear answer, and every sign said that it had not. So NIF "
    "posted it again, and learnt afterwards that the first had left too. Nothing was lost, and NIF "
    "does not post to these subscribers again. The certificate counts them and stays incomplete. "
    "Look in the worker’s log for why the answer was lost, and report it."
)


def explain_incompleteness(certificate: SendCertificate) -> list[str]:
    """Why a certificate is not complete. Empty if it is."""
    sentences = []
    if twice := certificate.twice:
        sentences.append(
            f"{twice:,} {'subscriber was' if twice == 1 else 'subscribers were'} mailed twice: two "
            "or more attempts that cover them were accepted."
        )
    undecided, pending = certificate.undecided, certificate.pending
    if undecided:
        sentences.append(
            f"{undecided:,} {'is' if undecided == 1 else 'are'} undecided: it is not known whether "
            "SendGrid accepted them. Their batches wait for proof or for your decision."
        )
    if pending and certificate.state == SendState.CANCELLED:
        was = "was" if pending == 1 else "were"
        sentences.append(f"{pending:,} {was} not sent, because the send was cancelled.")
    elif pending:
        sentences.append(f"{pending:,} {'is' if pending == 1 else 'are'} pending.")
    if certificate.unknown_attempts:
        sentences.append(
            f"{certificate.unknown_attempts:,} attempts were made of which the database knows "
            "nothing, since it went back in time. Some of these subscribers may have been mailed "
            "though they are not counted."
        )
    return sentences + [
        f"The records do not add up: {fault}. Please report this."
        for fault in certificate.contradictions
    ]


def label_event_counts(counts: dict[str, int]) -> list[tuple[str, str, int]]:
    """The events reported about a send: label, explanation and count of each kind."""
    unknown = sorted(counts.keys() - EVENT_LABELS.keys())
    kinds = [kind for kind in EVENT_LABELS if kind in counts] + unknown
    return [(*EVENT_LABELS.get(kind, (kind, "")), counts[kind]) for kind in kinds]


def format_clock_time(moment: datetime, time_zone: str) -> str:
    """A time of day to the second, in the given time zone."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%H:%M:%S}"
