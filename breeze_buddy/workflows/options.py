"""How activities are run: how long one may take, and how often it is tried."""

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

_PATIENT = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)

# Database, Temporal and Twilio: tried until they answer; every one of these may run twice.
SHORT: dict[str, Any] = {"start_to_close_timeout": timedelta(seconds=60), "retry_policy": _PATIENT}

# Within a workflow task: a turn that is near, and a request that is given up after ten seconds.
ONE_REQUEST = timedelta(seconds=20)

# Things that must not keep a workflow from hearing other news.
BOUNDED: dict[str, Any] = {**SHORT, "schedule_to_close_timeout": timedelta(minutes=2)}

# While somebody waits on the phone: tried again at once when a worker was lost, and not for long.
PROMPT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(seconds=45),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=250), backoff_coefficient=2, maximum_interval=timedelta(seconds=2)
    ),
}

# Cancelling a large campaign takes as long as its calls; it says that it lives.
LONG: dict[str, Any] = {
    "start_to_close_timeout": timedelta(hours=24),
    "heartbeat_timeout": timedelta(seconds=60),
    "retry_policy": _PATIENT,
}

# A recording can be made minutes after the call; after this it is given up and said so.
RECORDING: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "heartbeat_timeout": timedelta(seconds=60),
    "schedule_to_close_timeout": timedelta(hours=6),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=2, maximum_interval=timedelta(minutes=10)
    ),
}

# A language model that reads a transcript; the template may give it ten minutes.
ANALYSIS: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=11),
    "schedule_to_close_timeout": timedelta(hours=2),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=3, maximum_interval=timedelta(minutes=10)
    ),
}

# Somebody else's server: about a day of tries.
WEBHOOK: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(hours=24),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=3, maximum_interval=timedelta(hours=1)
    ),
}
