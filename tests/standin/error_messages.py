"""What SendGrid says when it refuses mail, word for word where its words are documented.

Sources: the error list of the v3 Mail Send reference and answers seen in public bug reports.
Texts that begin with "stand-in:" are ours, for mistakes whose answer nobody has published.
"""

from __future__ import annotations

from typing import NamedTuple

HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
OWN = "stand-in: "


class Refusal(NamedTuple):
    """One error of an answer; `field` is dotted with indexes, as in personalizations.3.to."""

    field: str | None
    message: str
    anchor: str | None = None

    def as_json(self) -> dict[str, str | None]:
        anchor = self.anchor or ".".join(
            p for p in (self.field or "").split(".") if not p.isdigit()
        )
        return {
            "message": self.message,
            "field": self.field,
            "help": HELP + anchor if anchor else None,
        }


BAD_REQUEST = "Bad Request"
INVALID_UTF8 = "Invalid UTF8 in request"
NOT_JSON = "Content-Type should be application/json."
WRONG_CREDENTIALS = "Permission denied, wrong credentials"
REVOKED = "The provided authorization grant is invalid, expired, or revoked"
FORBIDDEN = "access forbidden"
NO_CREDITS = "Maximum credits exceeded"
TOO_MANY_REQUESTS = "too many requests"
WRONG_METHOD = "POST method allowed only"
INVALID_BATCH = "invalid batch id"
BATCH_NOT_FOUND = "batch id not found"
STATUS_EXISTS = "a status for this batch id exists, try PATCH to update the status"
STATUS_UNKNOWN = OWN + "the status is neither pause nor cancel"
TOO_MANY_STOPPED = "max limit reached"
PAGE_TOO_LARGE = OWN + "limit is from 1 to 500"
NOT_A_NUMBER = OWN + "{} is not a number"
NOT_ADDRESSES = OWN + "recipient_emails holds something that is no address"
DELETE_WHAT = OWN + "either emails or delete_all has to be given, and not both"
UNVERIFIED_SENDER = (
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this "
    "error is resolved. Visit "
    "https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ "
    "to see the Sender Identity requirements"
)

EXAMPLE = (
    'e.g. {"email": "example@example.com"} or '
    '{"email": "example@example.com", "name": "Example Recipient"}'
)
NO_PERSONALIZATION = "You must have at least one personalization."
TOO_MANY_PERSONALIZATIONS = (
    "The personalization block is limited to 1000 personalizations per API request. You have "
    "provided {} personalizations. Please consider splitting this into multiple requests and "
    "resending your request."
)
TOO_MANY_RECIPIENTS = "There is a limit of 1000 total recipients (to + cc + bcc) per request."
NO_TO = (
    "The to array is required for all personalization objects, and must have at least one email "
    "object with a valid email address."
)
INVALID_ADDRESS = "Does not contain a valid address."
ADDRESS_TOO_LONG = "The {} email exceeds the maximum total length of 320 characters"
DUPLICATE_IN_BLOCK = (
    "Each email address in the personalization block should be unique between to, cc, and bcc. "
    "We found the first duplicate instance of [{}] in the {} field."
)
DUPLICATE_IN_REQUEST = (
    "Each unique email address in the personalizations array should only be included once. "
    "You have included [{}] more than once."
)
FROM_MISSING = (
    "The from object must be provided for every email send. It is an object that requires the "
    f"email parameter, but may also contain a name parameter. {EXAMPLE}"
)
CUSTOM_ARGS_EMPTY = "custom_args cannot be empty."
CUSTOM_ARGS_A_STRING = "Invalid type. Expected: object, given: string."
CUSTOM_ARGS_TOO_LARGE = (
    "The combined size of both global and personalization custom arguments may not exceed 10,000 "
    "bytes per personalization."
)
SUBSTITUTIONS_TOO_LARGE = "You are limited to 10,000 substitutions."
SUBSTITUTIONS_IN_TEMPLATE = "Substitutions may not be used with dynamic templating"
HEADER_DUPLICATE = "The headers cannot contain duplicate keys."
SEND_AT_TYPE = (
    "The send_at parameter is expecting a Unix timestamp as an integer. We will send immediately "
    "if you include a send_at timestamp that is in the past."
)
SEND_AT_TOO_LATE = "Scheduling more than 72 hours in advance is forbidden."
SUBJECT_EMPTY = "The subject of your email must be a string at least one character in length."
SUBJECT_MISSING = (
    "The subject is required. You can get around this requirement if you use a template with a "
    "subject defined or if every personalization has a subject defined."
)
CONTENT_MISSING = (
    "The content param is required unless you are using a transactional template and have defined "
    "a template_ID."
)
CONTENT_EMPTY = (
    "There must be at least one defined content block. We typically suggest both text/plain and "
    "text/html blocks are included, but only one block is required."
)
CONTENT_VALUE_EMPTY = "The content value must be a string at least one character in length."
CONTENT_TYPE_EMPTY = "Your content type must be a string with length of at least one character."
CONTENT_TYPE_CHARACTERS = "Cannot contain ';', or CRLF characters."
CONTENT_ORDER = (
    "Following RFC 1341, section 7.2, if either text/html or text/plain are to "
    "be sent in your "
    "email: text/plain needs to be first, followed by text/html, followed by any other content."
)
CATEGORIES_TYPE = "Categories must be an array of strings."
CATEGORIES_TOO_MANY = (
    "There is a limit of 10 categories for each email that is sent. You provided {} categories."
)
CATEGORY_TOO_LONG = "Each category must not be longer than 255 characters. [{}] exceeds this limit"
CATEGORY_DUPLICATE = (
    "The categories must be a unique list, and you have included [{}] more than once."
)
CATEGORY_NOT_ASCII = "Categories can not contain non-ASCII characters."
ASM_GROUP_TYPE = "The ASM group ID must be an integer."
ASM_GROUP_UNKNOWN = "The ASM group ID must be a valid Group ID on your account. You provided [{}]."
ASM_DISPLAY_TYPE = "The ASM Group IDs to display must be an array of integers."
ASM_DISPLAY_TOO_MANY = (
    "There is a limit of 25 unsubscribe groups that can be displayed to a user at a time."
)
IP_POOL_TYPE = "The name of your IP pool must be a string."
IP_POOL_UNKNOWN = "The IP Pool name must be a valid pool name for your account. You provided [{}]."
BATCH_ID_TYPE = "The batch_id must be a string."
TEMPLATE_TYPE = "The template ID must be a string, you provided [{}]."
TEMPLATE_UNKNOWN = (
    "The Template ID must be a valid template id for your account. You provided [{}]."
)

SETTINGS: dict[str, tuple[type, str]] = {
    "mail_settings.bypass_list_management.enable": (
        bool,
        "The bypass list management enable param should be a boolean value.",
    ),
    "mail_settings.footer.enable": (bool, "The footer enable param should be a boolean value."),
    "mail_settings.footer.text": (str, "The text/plain version of your footer should be a string."),
    "mail_settings.footer.html": (str, "The text/html version of your footer should be a string."),
    "mail_settings.sandbox_mode.enable": (
        bool,
        "The sandbox mode enable param should be a boolean value.",
    ),
    "tracking_settings.click_tracking.enable": (
        bool,
        "The click tracking enable param should be a boolean value.",
    ),
    "tracking_settings.click_tracking.enable_text": (
        bool,
        "The click tracking enable text must be a boolean value.",
    ),
    "tracking_settings.ganalytics.enable": (
        bool,
        "The Google Analytics enable param must be a boolean value.",
    ),
    "tracking_settings.open_tracking.enable": (
        bool,
        "The open tracking enable param should be a boolean value.",
    ),
    "tracking_settings.open_tracking.substitution_tag": (
        str,
        "The open tracking substitution tag must be a string.",
    ),
    "tracking_settings.subscription_tracking.enable": (
        bool,
        "The subscription tracking enable param should be a boolean value.",
    ),
}
