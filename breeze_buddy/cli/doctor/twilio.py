"""Twilio: the credentials, the clock, the rate of calls, and what the account's numbers do."""

from collections.abc import Sequence
from datetime import UTC, datetime

from breeze_buddy.activities.clients import twilio_client
from breeze_buddy.api.inbound_callbacks import webhooks_at
from breeze_buddy.cli.doctor.clocks import compare
from breeze_buddy.cli.doctor.finding import Area, Finding
from breeze_buddy.domain.errors import InvalidPhoneNumber
from breeze_buddy.domain.number import Number
from breeze_buddy.domain.phone import parse_e164
from breeze_buddy.settings import Settings
from breeze_buddy.telephony.account import AccountFacts, OwnedNumber
from breeze_buddy.telephony.client import NumberWebhooks, Twilio
from breeze_buddy.telephony.errors import TelephonyError

AREA = Area("twilio")
_NEW_ACCOUNT_CPS = 1


async def look(settings: Settings, numbers: Sequence[Number] | None) -> list[Finding]:
    """`numbers`: those registered, None when they could not be read."""
    async with twilio_client(settings) as twilio:
        try:
            account = await twilio.account()
        except TelephonyError as error:
            advice = "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the Twilio console shows them"
            return [AREA.failed("credentials", str(error), advice), AREA.skipped("numbers", "the account is not known")]
        findings = [_account(account)]
        if account.clock is not None:
            findings.append(compare(AREA, "Twilio's", (account.clock - datetime.now(UTC)).total_seconds()))
        findings.append(_rate(settings.twilio_cps, account))
        return [*findings, *await _numbers(twilio, settings, numbers)]


def _account(account: AccountFacts) -> Finding:
    kind = "trial account, which calls verified numbers only" if account.trial else "account"
    if account.status == "active":
        return AREA.ok("credentials", f"{kind} {account.name!r}")
    return AREA.failed(
        "credentials", f"the account is {account.status}", "look at the state of the account in the Twilio console"
    )


def _rate(cps: float, account: AccountFacts) -> Finding:
    found = f"TWILIO_CPS {cps:g}"
    if cps <= _NEW_ACCOUNT_CPS:
        return AREA.ok("calls per second", found)
    if account.trial:
        advice = f"set TWILIO_CPS to {_NEW_ACCOUNT_CPS}: more calls would wait in a queue at Twilio"
        return AREA.failed("calls per second", f"{found}, on a trial account", advice)
    # Twilio tells nobody what it grants an account.
    return AREA.ok("calls per second", f"{found}; a new account may {_NEW_ACCOUNT_CPS}, be sure that yours may more")


async def _numbers(twilio: Twilio, settings: Settings, numbers: Sequence[Number] | None) -> list[Finding]:
    if numbers is None:
        return [AREA.skipped("numbers", "the database could not be read")]
    findings: list[Finding] = []
    try:
        if default := settings.twilio_phone_number:
            findings += await _default(twilio, default, numbers)
        for number in numbers:
            findings += await _number(twilio, number, webhooks_at(settings.public_url))
    except TelephonyError as error:
        findings.append(AREA.failed("numbers", str(error), "look again; if it stays, at the Twilio console"))
    return findings or [AREA.skipped("numbers", "none is registered: `breeze number add` registers one")]


async def _default(twilio: Twilio, given: str, numbers: Sequence[Number]) -> list[Finding]:
    check = f"TWILIO_PHONE_NUMBER {given}"
    try:
        phone = parse_e164(given)
    except InvalidPhoneNumber as error:
        return [AREA.failed(check, str(error), "set TWILIO_PHONE_NUMBER to a number in E.164, or leave it unset")]
    if phone in {number.phone for number in numbers}:
        return []  # looked at with the others
    owned = await twilio.owned(phone)
    return [_callable(check, owned, verified=owned is None and await twilio.is_verified(phone))]


async def _number(twilio: Twilio, number: Number, wanted: NumberWebhooks) -> list[Finding]:
    if not number.enabled:
        return [AREA.skipped(number.phone, "disabled")]
    owned = await twilio.owned(number.phone)
    verified = owned is None and await twilio.is_verified(number.phone)
    findings = [_callable(number.phone, owned, verified=verified)]
    if number.inbound is not None and owned is not None:
        findings.append(_webhooks(owned, wanted))
    elif number.inbound is not None:
        advice = "buy the number, or take its inbound policy away"
        findings.append(AREA.failed(f"{number.phone} calls to it", "the account does not own the number", advice))
    return findings


def _callable(check: str, owned: OwnedNumber | None, *, verified: bool) -> Finding:
    if owned is None and verified:
        return AREA.ok(check, "a verified caller id")
    if owned is None:
        advice = "buy or verify it in the Twilio console, or `breeze number disable` it"
        return AREA.failed(check, "the account neither owns nor has verified it", advice)
    if not owned.voice:
        return AREA.failed(check, "cannot carry calls", "use a number that can voice; this one is for messages only")
    return AREA.ok(check, "owned, carries calls")


def _webhooks(owned: OwnedNumber, wanted: NumberWebhooks) -> Finding:
    check = f"{owned.phone} calls to it"
    pairs = {
        "voice URL": (owned.voice_url, wanted.voice_url),
        "fallback URL": (owned.voice_fallback_url, wanted.voice_fallback_url),
        "status callback": (owned.status_callback, wanted.status_callback),
    }
    wrong = [f"{name} is {there or 'not set'}" for name, (there, ours) in pairs.items() if there != ours]
    if owned.voice_method != "POST":
        wrong.append(f"its method is {owned.voice_method}")
    if wrong:
        advice = f"set the number's inbound policy again (PATCH /numbers/…), which points Twilio to {wanted.voice_url}"
        return AREA.failed(check, "; ".join(wrong), advice)
    return AREA.ok(check, f"come to {owned.voice_url}")
