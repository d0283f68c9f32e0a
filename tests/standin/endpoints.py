"""Which function answers which path of the API, and the scope that its key needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tests.standin import batch_endpoints, error_messages, rules, suppression_endpoints
from tests.standin.http_messages import Answer, Request, json_answer
from tests.standin.suppressions import DETAILS

if TYPE_CHECKING:
    from tests.standin.server import Standin


class Endpoint(NamedTuple):
    """`path` may end in {}, which stands for one name and is given to `act` without escapes."""

    method: str
    path: str
    scope: str
    act: Callable[[Standin, Request, str], Answer]

    def name_in(self, path: str) -> str | None:
        """The name that a path gives, empty where none is asked for; None for other paths."""
        head, braces, _tail = self.path.partition("{}")
        if not braces:
            return "" if path == head else None
        found = re.fullmatch(f"{re.escape(head)}([^/]+)", path)
        return unquote(found[1]) if found else None


def answer(standin: Standin, request: Request) -> Answer:
    there = [(each, name) for each in ENDPOINTS if (name := each.name_in(request.path)) is not None]
    if not there:
        return rules.refuse(404, "Not Found")
    for endpoint, name in there:
        if endpoint.method == request.method:
            denied = rules.check_key(request, standin.account, endpoint.scope)
            return denied or endpoint.act(standin, request, name)
    return rules.refuse(405, error_messages.WRONG_METHOD)


def _lists() -> Iterator[Endpoint]:
    """Global unsubscribes are only listed here: they have a path of their own for the rest."""
    for name in DETAILS:
        path = f"/v3/suppression/{name}"
        yield Endpoint("GET", path, "suppression.read", suppression_endpoints.page_of(name))
        if name != suppression_endpoints.GLOBAL:
            yield Endpoint(
                "DELETE", path, "suppression.delete", suppression_endpoints.some_off(name)
            )
            yield Endpoint(
                "GET", f"{path}/{{}}", "suppression.read", suppression_endpoints.one_of(name)
            )
            yield Endpoint(
                "DELETE", f"{path}/{{}}", "suppression.delete", suppression_endpoints.one_off(name)
            )
    one = f"{GLOBAL}/{{}}"
    yield Endpoint("POST", GLOBAL, "suppression.create", suppression_endpoints.add_global)
    yield Endpoint("GET", one, "suppression.read", suppression_endpoints.find_global)
    yield Endpoint(
        "DELETE",
        one,
        "suppression.delete",
        suppression_endpoints.one_off(suppression_endpoints.GLOBAL),
    )


def _public_key(standin: Standin, _request: Request, _name: str) -> Answer:
    return json_answer(200, {"public_key": standin.emitter.signer.public_key})


BATCH = "/v3/mail/batch"
SCHEDULED = "/v3/user/scheduled_sends"
GLOBAL = "/v3/asm/suppressions/global"
SIGNED = "/v3/user/webhooks/event/settings/signed"

ENDPOINTS = (
    Endpoint("POST", BATCH, "mail.batch.create", batch_endpoints.make),
    Endpoint("GET", f"{BATCH}/{{}}", "mail.batch.read", batch_endpoints.validate),
    Endpoint("POST", SCHEDULED, "user.scheduled_sends.create", batch_endpoints.stop),
    Endpoint("GET", SCHEDULED, "user.scheduled_sends.read", batch_endpoints.find),
    Endpoint("GET", f"{SCHEDULED}/{{}}", "user.scheduled_sends.read", batch_endpoints.find),
    Endpoint("PATCH", f"{SCHEDULED}/{{}}", "user.scheduled_sends.update", batch_endpoints.change),
    Endpoint("DELETE", f"{SCHEDULED}/{{}}", "user.scheduled_sends.delete", batch_endpoints.lift),
    *_lists(),
    Endpoint("GET", SIGNED, "user.webhooks.event.settings.read", _public_key),
    Endpoint("GET", f"{SIGNED}/{{}}", "user.webhooks.event.settings.read", _public_key),
)
