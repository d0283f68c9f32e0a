"""The crawlers that gather texts to train AI with. NIF asks them not to, and says so in one place.

Those that fetch a page because a person asked for it are not among them.
"""

from datetime import date

TRAINING = (
    "GPTBot",
    "ClaudeBot",
    "CCBot",
    "Google-Extended",
    "Applebot-Extended",
    "meta-externalagent",
    "Bytespider",
    "Amazonbot",
)

AS_OF = date(2026, 11, 22)
"""Their names change; the policy tells readers how old this list is."""
