"""A lead on the terminal: facts, history, calls."""

from typing import Any

from breeze_buddy.cli.printing import console, facts, moment, table

_CALL_HEADINGS = (
    *("attempt", "dialled", "from", "status", "answered by", "seconds"),
    *("ending", "result", "recording", "call"),
)


def sentence(lead: Any) -> str:
    """Where the lead stands, in a line."""
    text = f"lead {lead['id']} is {lead['status']}"
    if lead["outcome"]:
        text += f", {lead['outcome']}"
    elif lead["status"] in ("BACKLOG", "RETRY"):
        text += f", due {moment(lead['due_at'])}"
    return text


def print_lead(lead: Any) -> None:
    """The answer of `GET /leads/{id}`. Times are this machine's."""
    screen = console()
    variables = ", ".join(f"{name}={value}" for name, value in lead["variables"].items())
    screen.print(
        facts(
            [
                ("lead", lead["id"]),
                ("phone", lead["phone"]),
                ("campaign", lead["campaign_id"]),
                ("status", lead["status"]),
                ("outcome", lead["outcome"]),
                ("attempts", lead["attempts"]),
                ("due", None if lead["status"] == "FINISHED" else moment(lead["due_at"])),
                ("time zone", lead["time_zone"]),
                ("not before", moment(lead.get("not_before"))),
                ("expires", moment(lead.get("expires_at"))),
                ("variables", variables),
            ]
        )
    )
    screen.print()
    history = [(moment(change["at"]), change["status"], change["reason"]) for change in lead["history"]]
    screen.print(table(("at", "status", "reason"), history, title="History"))
    if lead["calls"]:
        screen.print()
        screen.print(_calls(lead["calls"]))


def _calls(calls: list[Any]) -> Any:
    headings = (
        "attempt",
        "dialled",
        "from",
        "status",
        "answered by",
        "seconds",
        "ending",
        "result",
        "recording",
        "call",
    )
    return table(headings, [_call(call) for call in calls], title="Calls")


def _call(call: Any) -> tuple[Any, ...]:
    conversation, recording = call["conversation"] or {}, call["recording"] or {}
    return (
        call["attempt"],
        moment(call["dialled_at"]),
        call["from_phone"],
        call["status"] or call["refusal"] or call["progress"],
        call["answered_by"],
        call["duration_s"],
        conversation.get("ending"),
        conversation.get("result"),
        "stored" if recording.get("stored") else recording.get("status"),
        call["id"],
    )
