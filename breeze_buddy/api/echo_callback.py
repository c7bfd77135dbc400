"""A callback that does nothing: `breeze doctor` sends itself a signed request through PUBLIC_URL, and one that is not.

Whether it is let through is all that it tells; nothing is read from it, written or started.
"""

from fastapi import APIRouter, Response, status

from breeze_buddy.api.twilio_callbacks import PREFIX, ASigned

PATH = f"{PREFIX}/echo"
router = APIRouter(prefix=PREFIX, tags=["twilio"])


@router.get("/echo", status_code=status.HTTP_204_NO_CONTENT)
@router.post("/echo", status_code=status.HTTP_204_NO_CONTENT)
async def echo(signed: ASigned) -> Response:
    """204 for a request that is signed as Twilio's are for PUBLIC_URL and TWILIO_AUTH_TOKEN, 403 for any other."""
    return Response(status_code=status.HTTP_204_NO_CONTENT)
