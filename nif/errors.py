"""What can go wrong in NIF's own terms. The doors turn these into words and a status."""


class NifError(Exception):
    """The root of all errors that NIF raises on purpose; its text may be shown to a person."""


class NotFound(NifError):
    """What was asked for does not exist, or never did."""


class Expired(NifError):
    """A link or a claim that was good once and is not any more."""


class NotAllowed(NifError):
    """The person is known, and may not do this."""


class Conflict(NifError):
    """The state of things has moved on; nothing was changed."""


class UploadTooLarge(NifError):
    """More was sent than is taken; nothing of it was kept."""


class Invalid(NifError):
    """Something a person gave is wrong.

    `problems` maps the name of a field to a sentence about it.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


class Misconfigured(NifError):
    """The settings, the database or the machine do not allow a start; the text says what would."""
