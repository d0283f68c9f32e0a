"""A cross-check with Twilio's own OpenAPI file, where a copy of it lies beside the repository.

The file is incomplete (it knows no limit on custom_args, no reserved header) and wrong in places
(custom_args of a whole mail is typed as a string), so it may refuse less than the rules, and
nothing that NIF posts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from tests.standin import rules
from tests.standin.account import Account
from tests.standin.sample_mail import mail, reader

SPEC = Path(__file__).parents[3] / "shared/sendgrid-openapi/tsg_mail_v3.json"
BODY = "#/components/requestBodies/PostMailSend/content/application~1json/schema"

pytestmark = pytest.mark.skipif(not SPEC.exists(), reason="no copy of Twilio's OpenAPI file")


@pytest.fixture(scope="module")
def schema() -> Any:
    components = orjson.loads(SPEC.read_bytes())["components"]
    return jsonschema_rs.validator_for(
        {"$ref": BODY, "components": components}, validate_formats=True
    )


def test_mail_as_nif_posts_it_is_valid(schema: Any) -> None:
    body = mail(*(reader(number) for number in range(1000)))
    del body["custom_args"]

    assert schema.is_valid(body)


@pytest.mark.parametrize(
    "body",
    [
        mail(*(reader(number) for number in range(1001))),
        mail({**reader(1), "to": [{"email": "nobody"}]}),
        mail(subject=""),
        mail(content=[{"type": "text/plain", "value": ""}]),
        mail(categories=[str(number) for number in range(11)]),
        mail(categories=["a", "a"]),
        mail(asm={"group_id": "1"}),
        mail(ip_pool_name="x"),
        mail(mail_settings={"sandbox_mode": {"enable": "true"}}),
    ],
)
def test_mail_that_the_published_api_description_calls_invalid_is_refused(
    schema: Any, body: dict[str, Any]
) -> None:
    assert not schema.is_valid(body)
    assert rules.check_mail(body, Account()) is not None
