"""The activity that ends an ordinary lead: its recording is kept and its template's webhook is told, in one step."""

import logging

import aiohttp
from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.activities.notifications import NotificationActivities
from breeze_buddy.activities.recordings import RecordingActivities
from breeze_buddy.domain.messages import CallEvent, WrappedUp

logger = logging.getLogger(__name__)


class WrapUpActivities:
    """What two others do, one after the other."""

    def __init__(self, recordings: RecordingActivities, notifications: NotificationActivities) -> None:
        self._recordings = recordings
        self._notifications = notifications

    @activity.defn
    async def keep_and_report(self, event: CallEvent, lead_id: str) -> WrappedUp:
        """Keep the recordings of a call, then post the report of its lead.

        Fails as `store_recording` does. A webhook that does not answer is to be told again by `notify`; one that
        refuses the report for good is not.
        """
        held = await self._recordings.store_recording(event)
        try:
            await self._notifications.notify(lead_id)
        except (ApplicationError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("the post-call webhook of lead %s: %s", lead_id, error)
            return WrappedUp(held=held, told=isinstance(error, ApplicationError) and error.non_retryable)
        return WrappedUp(held=held, told=True)
