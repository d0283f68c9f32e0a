"""What a worker does after the clock jumped."""

from datetime import datetime, timedelta

import structlog

from nif import claims
from nif.clock import ClockWatch, SettledClock
from nif.sends import circuit_breaker, repermission
from nif.sends.reconciliation import restart_watch
from nif.services import Services

log = structlog.get_logger(__name__)


class JumpFollower:
    """Follows the jumps of the clock that one worker notices, one after the other.

    No evidence about an attempt spans a jump: that is settled at once. Waits that a clock set back
    has made longer end once the clock has settled, when the requests under way are over. When a
    worker starts, nobody may have noticed the last jump: then only waits end that nothing explains.
    Several workers may do all of this.
    """

    def __init__(
        self, services: Services, settled: SettledClock, watch: ClockWatch | None = None
    ) -> None:
        self._services, self._settled, self._watch = services, settled, watch or ClockWatch()
        self._jumps: list[tuple[datetime, datetime]] = []
        self._longest_wait: timedelta | None = claims.LONGEST_WAIT

    def follow(self) -> None:
        """Do what is due by now. What fails is done by the next call."""
        if jump := self._watch.find_jump():
            self._jumps.append(jump)
            log.warning("the clock jumped", seconds=(jump[1] - jump[0]).total_seconds())
        timing = self._services.reconciliation_timing
        while self._jumps:
            before, now = self._jumps[0]
            with self._services.database.transaction() as session:
                restart_watch(session, timing, before=before, now=now)
            self._jumps.pop(0)
            if now < before:
                self._longest_wait = claims.LONGEST_LEASE
        if self._longest_wait is not None and (settled := self._settled.read()) is not None:
            self._end_waits(self._longest_wait, settled)
            self._longest_wait = None

    def _end_waits(self, longest: timedelta, now: datetime) -> None:
        with self._services.database.transaction() as session:
            ended = claims.end_waits(session, longer_than=longest, now=now)
            for waiting in (circuit_breaker, repermission):
                waiting.end_waits(session, longer_than=longest, now=now)
        if ended:
            log.warning("waits ended that the clock had made longer", rows=ended)
