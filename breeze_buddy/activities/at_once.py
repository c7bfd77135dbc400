"""What a workflow does within one of its tasks keeps a place in its worker that other workflows wait for.

That is for steps of milliseconds. When somebody is slow (a webhook, Twilio, the database), only so many of them wait
there; all others become activities of their own, which keep nobody else waiting.
"""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

MOST_AT_ONCE = 30
"""Of the hundred workflow tasks that a worker has in hand at a time."""


class AtOnceLimit(Interceptor):
    """Refuses local activities beyond MOST_AT_ONCE; `workflows/steps.py` then asks for an activity."""

    def __init__(self) -> None:
        self.running = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Counted(next, self)


class _Counted(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, limit: AtOnceLimit) -> None:
        super().__init__(next)
        self._limit = limit

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if not activity.info().is_local:
            return await super().execute_activity(input)
        if self._limit.running >= MOST_AT_ONCE:
            raise ApplicationError(
                f"{MOST_AT_ONCE} steps are waiting within workflow tasks already: this one becomes an activity",
                type="NotAtOnce",
                category=ApplicationErrorCategory.BENIGN,
            )
        self._limit.running += 1
        try:
            return await super().execute_activity(input)
        finally:
            self._limit.running -= 1
