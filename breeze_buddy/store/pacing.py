"""The clocks that keep calls a second: one for the account, one for each campaign with a rate of its own.

A turn is taken in the transaction that accepts a grant, right before the request to Twilio, by whichever worker
does it; so the rates hold over all processes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from breeze_buddy.domain.pacing import LONGEST_HOLD, AccountLimits, slot, spacing
from breeze_buddy.store.database import Transaction, insert_into
from breeze_buddy.store.schema import campaigns, pacing_clocks

ACCOUNT = "account"

_ACCOUNT = select(pacing_clocks).where(pacing_clocks.c.key == ACCOUNT).with_for_update()
_SET_ACCOUNT = update(pacing_clocks).where(pacing_clocks.c.key == ACCOUNT)
_OF_CAMPAIGN = select(campaigns.c.calls_per_second, campaigns.c.next_dial_at).where(
    campaigns.c.id == bindparam("campaign_id")
)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a call may be placed. `taken`: the clocks have moved on, the moment is this call's.

    `held`: due leads wait for a rate, so whoever places a call grants the next line afterwards. `apart`: the time
    to the next turn of the slower of the two rates.
    """

    at: datetime
    taken: bool
    held: bool
    apart: timedelta


async def account_clock(tx: Transaction) -> Row[Any]:
    """The row of the account, locked; made when there is none."""
    row = (await tx.execute(_ACCOUNT)).first()
    if row is None:
        first = {"key": ACCOUNT, "held": False, "virtual_time": 0.0}
        await tx.execute(insert_into(tx, pacing_clocks).values(first).on_conflict_do_nothing())
        row = (await tx.execute(_ACCOUNT)).one()
    return row


async def set_account_clock(tx: Transaction, **values: Any) -> None:
    """Change columns of the account's row."""
    await tx.execute(_SET_ACCOUNT, values)


async def take_turn(
    tx: Transaction, campaign_id: str, limits: AccountLimits, *, now: datetime, ahead: timedelta, paced: bool
) -> Turn:
    """The next moment, `ahead` or later, that the account's rate and the campaign's allow; taken when it is near
    enough. `paced`: the campaign may have a rate."""
    account = await account_clock(tx)
    own_rate, own_clock = None, None
    if paced:
        own = (await tx.execute(_OF_CAMPAIGN, {"campaign_id": campaign_id})).one()
        own_rate = own.calls_per_second
        own_clock = own.next_dial_at if own_rate is not None else None
    at = slot(now + ahead, account.next_dial_at, own_clock)
    apart = max(spacing(rate) for rate in (limits.calls_per_second, own_rate) if rate is not None)
    if at > now + LONGEST_HOLD:
        return Turn(at, taken=False, held=account.held, apart=apart)
    await _move_on(tx, campaign_id, at, limits, own_rate)
    return Turn(at, taken=True, held=account.held, apart=apart)


async def take_turn_again(
    tx: Transaction,
    campaign_id: str,
    missed: datetime,
    limits: AccountLimits,
    *,
    now: datetime,
    ahead: timedelta = timedelta(),
) -> datetime:
    """Another turn, taken however far off, for a call that came too late for `missed`, its own: `ahead` from now, if
    nobody's turn has followed."""
    account = await account_clock(tx)
    own = (await tx.execute(_OF_CAMPAIGN, {"campaign_id": campaign_id})).one()
    clocks = [(account.next_dial_at, limits.calls_per_second)]
    if own.calls_per_second is not None:
        clocks.append((own.next_dial_at, own.calls_per_second))
    at = slot(now + ahead, *(clock for clock, rate in clocks if clock != missed + spacing(rate)))
    await _move_on(tx, campaign_id, at, limits, own.calls_per_second)
    return at


async def _move_on(
    tx: Transaction, campaign_id: str, at: datetime, limits: AccountLimits, own_rate: float | None
) -> None:
    """The turn at this moment is somebody's: the next one is a spacing later, of the account and of the campaign."""
    await set_account_clock(tx, next_dial_at=at + spacing(limits.calls_per_second))
    if own_rate is not None:
        following = at + spacing(own_rate)
        await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(next_dial_at=following))
