"""JSON types of a mail/send body, as compiled schemas: what is a Bad Request, what is plainly fine.

SendGrid answers a wrong JSON type with a bare "Bad Request". `has_wrong_types` finds those.
`is_plain` clears an ordinary body in a millisecond, so that load runs can skip the slow rules;
it holds less than the rules allow, never more.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

ANY: dict[str, Any] = {}
STRING = {"type": "string"}
STRINGS = {"type": "object", "additionalProperties": STRING}
ADDRESS = {"type": "object", "properties": {"email": STRING, "name": STRING}}
ADDRESSES = {"type": "array", "items": ADDRESS}
OBJECT = {"type": "object"}
PERSONALIZATION = {
    "type": "object",
    "properties": {
        "to": ADDRESSES,
        "cc": ADDRESSES,
        "bcc": ADDRESSES,
        "from": ADDRESS,
        "headers": STRINGS,
        "substitutions": STRINGS,
        "custom_args": STRINGS,
        "dynamic_template_data": OBJECT,
        "subject": ANY,
        "send_at": ANY,
    },
}
TYPES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "personalizations": {"type": "array", "items": PERSONALIZATION},
        "from": ADDRESS,
        "reply_to": ADDRESS,
        "reply_to_list": ADDRESSES,
        "content": {"type": "array", "items": OBJECT},
        "attachments": {"type": "array", "items": OBJECT},
        "headers": STRINGS,
        "sections": STRINGS,
        "custom_args": {"type": ["object", "string"], "additionalProperties": STRING},
        "subject": ANY,
        "template_id": ANY,
        "categories": ANY,
        "send_at": ANY,
        "batch_id": ANY,
        "ip_pool_name": ANY,
        "asm": OBJECT,
        "mail_settings": {"type": "object", "additionalProperties": OBJECT},
        "tracking_settings": {"type": "object", "additionalProperties": OBJECT},
    },
}

EMAIL = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*" + (
    r"@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$"
)
PLAIN_ADDRESS = {
    "type": "object",
    "required": ["email"],
    "properties": {
        "email": {"type": "string", "maxLength": 320, "pattern": EMAIL},
        "name": {"type": "string", "pattern": r"^[^;,]*$"},
    },
    "additionalProperties": False,
}
ONE_LINE = {"type": "string", "pattern": r"^[^\r\n]*$"}
PLAIN_HEADERS = {
    "type": "object",
    "properties": dict.fromkeys(("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"), ONE_LINE),
    "additionalProperties": False,
}


def _short_strings(most: int, longest: int) -> dict[str, Any]:
    """An object of texts; its JSON takes at most 6 * most * (longest + 50) bytes and some quotes.

    Of 10,000 bytes, 9,000 are used up by all substitutions, or by both objects of custom_args.
    """
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": most,
        "propertyNames": {"maxLength": 50},
        "additionalProperties": {"type": "string", "maxLength": longest},
    }


PLAIN_PERSONALIZATION = {
    "type": "object",
    "required": ["to", "custom_args"],
    "properties": {
        "to": {"type": "array", "minItems": 1, "maxItems": 1, "items": PLAIN_ADDRESS},
        "headers": PLAIN_HEADERS,
        "substitutions": _short_strings(5, 250),
        "custom_args": _short_strings(3, 200),
    },
    "additionalProperties": False,
}
PLAIN = {
    "type": "object",
    "required": ["personalizations"],
    "not": {"required": ["template_id"]},
    "properties": {
        "custom_args": _short_strings(3, 200),
        "personalizations": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": PLAIN_PERSONALIZATION,
        },
    },
}

_types = jsonschema_rs.validator_for(TYPES)
_shared_types = jsonschema_rs.validator_for(
    {**TYPES, "properties": {**TYPES["properties"], "personalizations": ANY}}
)
_plain = jsonschema_rs.validator_for(PLAIN)


def has_wrong_types(body: Any, plain: bool = False) -> bool:
    """Whether a body is a Bad Request; personalizations that are plain need no second look."""
    return not (_shared_types if plain else _types).is_valid(body)


def is_plain(body: Any) -> bool:
    """Whether the personalizations keep every rule but uniqueness of addresses.

    The rest of the body is looked at only as far as their rules go.
    """
    return _plain.is_valid(body)
