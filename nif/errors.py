"""NIF's own errors. Web and commands turn them into a message and a status."""


class NifError(Exception):
    """The base class of NIF's errors; the text of each may be shown to a person."""


class NotFound(NifError):
    """The requested thing does not exist."""


class Expired(NifError):
    """A link or a claim that is no longer valid."""


class NotAllowed(NifError):
    """The person is known, but may not do this."""


class Conflict(NifError):
    """The data changed meanwhile, so the request does not apply; nothing was changed."""


class UploadTooLarge(NifError):
    """An upload is larger than the limit; nothing was stored."""


class Invalid(NifError):
    """A person's input is invalid; `problems` maps the names of fields to sentences."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


class Misconfigured(NifError):
    """Settings, database or machine do not allow a start; the text says what to change."""


def explain_size_limit(most: int) -> str:
    """The sentence for a file that is too large; `most` in bytes."""
    return f"This file is too large: at most {most / 1_000_000:.3g} MB. Nothing was saved."
