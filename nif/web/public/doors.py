"""What every form has that asks for mail to an address: a ticket, a trap and, in an attack, proof.

Whoever is caught by one of them gets the same page as everybody, and is held instead of mailed.
"""

from time import time

from flask import request

from nif.clock import utc_now
from nif.errors import NotFound
from nif.signups import proving, watching
from nif.signups.models import NO_LIST, Door, Why
from nif.signups.taking import Wish
from nif.signups.taking import take as lay_into_the_tray
from nif.subscriptions.addresses import Address
from nif.subscriptions.consenting import Circumstances
from nif.tokens import Purpose
from nif.web.current import reading, tokens, transaction
from nif.web.public.caching import ticket

LEAST_SECONDS = 2
LONGEST_SECONDS = 30 * 24 * 3600

NOT_WHOLE = "This form did not reach us whole. Nothing was lost: press the button once more."
TOO_OLD = "This page was open for a long time. Press the button once more."
QUICK = "That was quick! Press the button once more, so that we know you are a person."


def form_fields() -> dict[str, str]:
    """What a form that asks for mail is made with; `challenge` is empty where none is asked for.

    A form that is handed out once more keeps its ticket: whoever presses again at once was not
    too quick.
    """
    given = ticket() if problem_with_form() else request.form["ticket"]
    is_asked = is_under_attack()
    made = proving.challenge(tokens().keys, given, now=utc_now()) if is_asked else ""
    return {"form_ticket": given, "challenge": made}


def is_under_attack() -> bool:
    with reading() as session:
        return watching.find_attack(session, now=utc_now()) is not None


def has_to_ask_for_proof() -> bool:
    """Did the form come from a page that asked for no proof, while proof is asked for?

    Pages are kept in memory and by browsers, so those with a form in them stay as they are; in an
    attack it is handed out once more, with what was typed.
    """
    return "challenged" not in request.form and is_under_attack()


def take(
    door: Door,
    address: Address,
    where: Circumstances,
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
        odd = _odd(has_key=has_key)
        if odd is None and watching.find_attack(session, now=now) is not None:
            given, proof = request.form.get("ticket", ""), request.form.get("altcha", "")
            is_proved = proving.accept(session, tokens().keys, given, proof, now=now)
            odd = None if is_proved else Why.NO_PROOF
        lay_into_the_tray(session, Wish(door, address, where, list_id, odd), now=now)


def problem_with_form() -> str:
    """Why a form is not one that we handed out within the month; empty where it is."""
    age = _age(request.form.get("ticket", ""))
    if age is None:
        return NOT_WHOLE
    return TOO_OLD if age > LONGEST_SECONDS else ""


def problem_with_ticket(given: str) -> str:
    """The same for a form that nothing is mailed for: who was too quick is told so."""
    age = _age(given)
    if age is None:
        return NOT_WHOLE
    if age < LEAST_SECONDS:
        return QUICK
    return TOO_OLD if age > LONGEST_SECONDS else ""


def _odd(*, has_key: bool) -> Why | None:
    """What a form gives away by how it was filled in."""
    if request.form.get("website"):
        # A field that no person sees.
        return Why.TRAP
    if has_key:
        return None
    age = _age(request.form.get("ticket", ""))
    return Why.HASTE if age is None or age < LEAST_SECONDS else None


def _age(given: str) -> float | None:
    """Seconds since a ticket was handed out; None for one that is not ours."""
    try:
        handed_out, _ = tokens().open(Purpose.FORM, given)
    except NotFound:
        return None
    return time() - handed_out
