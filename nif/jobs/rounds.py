"""What is done about readers, round by round: each is short, and keeps nothing between two."""

import structlog

from nif.audience import parting
from nif.audience.indexing import catch_up
from nif.clock import utc_now
from nif.importing import keeping, steering
from nif.parts import Parts
from nif.rights.retaining import run_if_due
from nif.sends import asking
from nif.sends.askings import Asking
from nif.sends.mirroring import pull_if_due
from nif.sends.telling import tell_if_due
from nif.signups import answering, holding, proving, watching

log = structlog.get_logger(__name__)


class Rounds:
    """The jobs that need no more than the parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def sign_ups(self) -> None:
        """Answer what was asked for at the doors; the letters go with the next tick of theirs."""
        answering.answer_all(self._parts.database.transaction, self._parts.pen, clock=utc_now)

    def doors(self) -> None:
        """Have them ask for proof while unusually many come, and answer who could give none."""
        with self._parts.database.transaction() as session:
            answering.watch(session, self._parts.pen, now=utc_now())
            holding.trickle(session, now=utc_now())

    def askings(self) -> None:
        """Let go who did not answer, and count anew who did, each asking by itself."""
        now = utc_now()
        with self._parts.database.reading() as session:
            silent = parting.due(session)
        for asking_id in silent:
            parting.let_all_go(self._parts.database.transaction, asking_id, now=now)
        with self._parts.database.reading() as session:
            due = asking.to_count(session, now=now)
        for asking_id in due:
            with self._parts.database.transaction() as session:
                asking.count_answers(session, session.get_one(Asking, asking_id), now=now)

    def suppressions(self) -> None:
        """Once a day, mirror the provider's own lists of whom it mails no more."""
        pull_if_due(self._parts.database.transaction, self._parts.mailer, now=utc_now())

    def tell(self) -> None:
        """Tell the provider whom the house mails no more, and whom it mails again."""
        tell_if_due(self._parts.database.transaction, self._parts.mailer, clock=utc_now)

    def addresses(self) -> None:
        """Make those who came since findable by parts of their address."""
        catch_up(self._parts.database.transaction, now=utc_now())

    def forget(self) -> None:
        """Drop used proofs, old rates, and the files of imports that nobody needs any more."""
        now = utc_now()
        with self._parts.database.transaction() as session:
            proving.forget(session, now=now)
            watching.forget(session, now=now)
            files = steering.forget_files(session, now=now)
        for name in files:
            keeping.forget(self._parts.settings.imports, name)
        # What was deleted stands in SQLite's log until somebody clears it.
        self._parts.database.clear_log()

    def retain(self) -> None:
        """Once a day, let go what has had its time."""
        gone = run_if_due(self._parts.database.transaction, self._parts.times, now=utc_now())
        if gone and any(gone.values()):
            log.info("what had its time is gone", **gone)
