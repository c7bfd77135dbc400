"""Short steps that a workflow takes itself.

A step of milliseconds is done within the workflow task (a local activity): three events and a round trip through the
server less than an activity of its own. It is tried once. What does not go well that way, because a database or
somebody else's server is away, becomes an activity that is tried for as long as its options say.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

# Less than a workflow task may take. For what takes longer it is prolonged, at three events each eight seconds.
AT_ONCE = timedelta(seconds=5)


async def at_once(method: Any, *, args: Sequence[Any], summary: str, at_most: timedelta = AT_ONCE) -> Any:
    """The result of an activity of ours, tried once, within the workflow task. Raises FailureError when it failed."""
    return await workflow.execute_local_activity_method(
        method,
        args=args,
        start_to_close_timeout=at_most,
        schedule_to_close_timeout=at_most,
        retry_policy=RetryPolicy(maximum_attempts=1),
        summary=summary,
    )


def is_final(error: FailureError) -> bool:
    """Whether another try would come to the same, or is not wanted."""
    return is_cancelled_exception(error) or (isinstance(error, ApplicationError) and error.non_retryable)


async def step(
    method: Any,
    *,
    args: Sequence[Any],
    summary: str,
    otherwise: dict[str, Any],
    at_most: timedelta | None = AT_ONCE,
) -> Any:
    """The result of an activity of ours that can be run twice: at once, or as an activity with the options `otherwise`.

    `at_most` is how long it may take at once; None: not at once at all. Raises FailureError when it failed for good.
    (What fails at once comes without an ActivityError around it.)
    """
    if at_most is not None:
        try:
            return await at_once(method, args=args, summary=summary, at_most=at_most)
        except FailureError as error:
            if is_final(error):
                raise
    return await workflow.execute_activity_method(method, args=args, summary=summary, **otherwise)
