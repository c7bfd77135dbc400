"""What every request handler can ask for: the process's settings, database and ways to the workflows."""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from breeze_buddy.activities.answer import Answers
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.activities.schedules import CampaignSchedules
from breeze_buddy.activities.signals import Signals
from breeze_buddy.api.router import StreamRouter
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database
from breeze_buddy.telephony.signatures import SignatureCheck


@dataclass(frozen=True, slots=True)
class Context:
    """One API process. Made once, in `create_app`."""

    settings: Settings
    database: Database
    signals: Signals
    schedules: CampaignSchedules
    dispatcher: Dispatcher
    answers: Answers
    router: StreamRouter
    recordings: RecordingStore
    signatures: SignatureCheck


# Dependencies are coroutines: a plain function would cost every request a thread.
async def context_of(request: Request) -> Context:
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


AContext = Annotated[Context, Depends(context_of)]

_bearer = HTTPBearer(auto_error=False, description="the API_KEY of the settings; not needed when that is unset")


async def require_key(
    context: AContext, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Refuse a request without the API key, when there is one."""
    wanted = context.settings.api_key
    if wanted is None:
        return
    said = given.credentials if given is not None else ""
    if not secrets.compare_digest(said.encode(), wanted.get_secret_value().encode()):
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED,
            "give the API key: Authorization: Bearer <API_KEY>",
            headers={"WWW-Authenticate": "Bearer"},
        )
