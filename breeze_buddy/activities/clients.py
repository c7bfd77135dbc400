"""The clients and plans that processes are made of, by the settings: made once, passed around."""

from datetime import timedelta

from temporalio.client import Client

from breeze_buddy.activities.answer import Answers
from breeze_buddy.activities.payloads import data_converter
from breeze_buddy.activities.telephony import CallPlan
from breeze_buddy.domain.messages import Waits
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.settings import Settings
from breeze_buddy.telephony.client import Twilio


async def connect(settings: Settings) -> Client:
    """A Temporal client that carries our models. Raises RuntimeError with the address when nothing answers."""
    return await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=data_converter
    )


def twilio_client(settings: Settings) -> Twilio:
    """Twilio, or what stands in for it at TWILIO_API_BASE_URL."""
    return Twilio(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        api_base_url=settings.twilio_api_base_url,
    )


def answers(settings: Settings) -> Answers:
    """What writes TwiML and callback URLs by these settings."""
    return Answers(
        public_url=settings.public_url,
        stream_secret=settings.stream_secret,
        token_ttl=timedelta(seconds=settings.stream_token_ttl_s),
    )


def call_plan(settings: Settings) -> CallPlan:
    """How calls are placed by these settings."""
    return CallPlan(
        answers=answers(settings),
        stream_url=settings.stream_url,
        pod_isolation=settings.pod_isolation,
        waits=Waits(
            first_word_s=settings.status_check_s,
            longest_call_s=settings.status_check_s,
            lost_request_s=settings.lost_request_s,
            conversation_s=settings.conversation_wait_s,
            recording_s=settings.recording_wait_s,
        ),
    )


def account_limits(settings: Settings) -> AccountLimits:
    """What these settings allow all campaigns together."""
    return AccountLimits(
        calls_per_second=settings.twilio_cps,
        calls_per_phone=settings.calls_per_phone,
        calls_per_phone_hours=settings.calls_per_phone_hours,
    )
