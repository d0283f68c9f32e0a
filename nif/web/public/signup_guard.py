"""What every form has that asks for mail to an address: a ticket, a trap and, in an attack, proof.

Whoever is caught by one of them gets the same page as everybody, and is held instead of mailed.

Forms of ours that stand on other sites: which site that is, and that the form is ours.
"""

from time import time
from urllib.parse import urlsplit

from flask import request

from nif.clock import utc_now
from nif.errors import NotFound
from nif.signups import attack_mode, proof_of_work
from nif.signups.models import NO_LIST, HoldReason, SignupKind
from nif.signups.requests import SignupRequest, queue_signup
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import MailingList
from nif.tokens import TokenPurpose
from nif.web.current import reading, settings, tokens, transaction
from nif.web.public.page_cache import make_form_ticket

MIN_FORM_SECONDS = 2
MAX_FORM_SECONDS = 30 * 24 * 3600

INCOMPLETE_FORM = "This form did not reach us whole. Nothing was lost: press the button once more."
FORM_EXPIRED = "This page was open for a long time. Press the button once more."
TOO_QUICK = "That was quick! Press the button once more, so that we know you are a person."


def signup_form_fields() -> dict[str, str]:
    """What a form that asks for mail is made with; `challenge` is empty where none is asked for.

    A form that is handed out once more keeps its ticket: whoever presses again at once was not
    too quick.
    """
    given = make_form_ticket() if find_form_problem() else request.form["ticket"]
    is_asked = is_under_attack()
    made = proof_of_work.make_challenge(tokens().keys, given, now=utc_now()) if is_asked else ""
    return {"form_ticket": given, "challenge": made}


def is_under_attack() -> bool:
    with reading() as session:
        return attack_mode.find_active_attack_mode(session, now=utc_now()) is not None


def must_ask_for_proof() -> bool:
    """Did the form come from a page that asked for no proof, while proof is asked for?

    Pages are kept in memory and by browsers, so those with a form in them stay as they are; in an
    attack it is handed out once more, with what was typed.
    """
    return "challenged" not in request.form and is_under_attack()


def submit_signup(
    kind: SignupKind,
    address: EmailAddress,
    where: ConsentContext,
    list_id: int = NO_LIST,
    *,
    has_key: bool = False,
) -> None:
    """Lay what was asked for into the tray. The worker is not woken: its next look comes soon,
    and what it then does has nothing to do with this request's time.

    `has_key` says that the form stood on another site, where it cannot tell when it was shown.
    """
    now = utc_now()
    with transaction() as session:
        odd = _find_suspicion(has_key=has_key)
        if odd is None and attack_mode.find_active_attack_mode(session, now=now) is not None:
            given, proof = request.form.get("ticket", ""), request.form.get("altcha", "")
            is_proved = proof_of_work.accept_proof(session, tokens().keys, given, proof, now=now)
            odd = None if is_proved else HoldReason.NO_PROOF
        queue_signup(session, SignupRequest(kind, address, where, list_id, odd), now=now)


def find_form_problem() -> str:
    """Why a form is not one that we handed out within the month; empty where it is."""
    age = _ticket_age(request.form.get("ticket", ""))
    if age is None:
        return INCOMPLETE_FORM
    return FORM_EXPIRED if age > MAX_FORM_SECONDS else ""


def find_ticket_problem(given: str) -> str:
    """The same for a form that nothing is mailed for: who was too quick is told so."""
    age = _ticket_age(given)
    if age is None:
        return INCOMPLETE_FORM
    if age < MIN_FORM_SECONDS:
        return TOO_QUICK
    return FORM_EXPIRED if age > MAX_FORM_SECONDS else ""


def _find_suspicion(*, has_key: bool) -> HoldReason | None:
    """What a form gives away by how it was filled in."""
    if request.form.get("website"):
        # A field that no person sees.
        return HoldReason.HONEYPOT
    if has_key:
        return None
    age = _ticket_age(request.form.get("ticket", ""))
    return HoldReason.TOO_FAST if age is None or age < MIN_FORM_SECONDS else None


def _ticket_age(given: str) -> float | None:
    """Seconds since a ticket was handed out; None for one that is not ours."""
    try:
        handed_out, _ = tokens().open(TokenPurpose.FORM_TICKET, given)
    except NotFound:
        return None
    return time() - handed_out


MAX_ORIGIN_LENGTH = 100
UNKNOWN_SITE = "another site"
"""Where a form stood of which the browser does not say where it stood."""


def find_other_site() -> str:
    """The site whose form was sent, such as `https://example.com`; empty where it is our own.

    It is what a browser says, and never a whole address.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
        is_ours = origin.netloc in {request.host, urlsplit(settings().base_url).netloc}
        if origin.scheme in {"http", "https"} and origin.hostname and not is_ours:
            return f"{origin.scheme}://{origin.netloc}"[:MAX_ORIGIN_LENGTH]
    except ValueError:
        pass
    return UNKNOWN_SITE if "key" in request.form else ""


def is_embed_key_of(key: str, mailing_list: MailingList) -> bool:
    """Is this the key in the form of a list that was made to stand on other sites?

    It stands in the place of a ticket, for such a form cannot say when it was shown.
    """
    try:
        return tokens().open(TokenPurpose.EMBED, key)[0] == mailing_list.id
    except NotFound:
        return False
