"""Single leads, numbers and the do-not-call list from the command line."""

from breeze_buddy.cli.exits import ExitCode
from tests.api.house import person
from tests.cli.shell import Shell


async def test_a_lead_is_pushed_shown_and_cancelled(shell: Shell) -> None:
    await shell.house.template()
    pushed = await shell.done(
        *("lead", "push", person(0), "--template", "order", "--var", "name=Ada = Bo", "--priority", "5"),
        *("--time-zone", "America/New_York", "--request-id", "r1"),
        *("--not-before", "2099-01-01T00:00:00+00:00"),
    )
    assert (pushed["variables"], pushed["priority"], pushed["status"]) == ({"name": "Ada = Bo"}, 5, "BACKLOG")
    again = await shell.breeze(
        "lead", "push", person(0), "--template", "order", "--var", "name=x", "--request-id", "r1"
    )
    assert again.out.startswith(f"lead {pushed['id']} is BACKLOG, due ")

    cancelled = await shell.breeze("lead", "cancel", pushed["id"], "--let-finish", "--reason", "no need")
    assert cancelled.out == f"lead {pushed['id']} is FINISHED, CANCELLED\n"
    shown = await shell.breeze("lead", "show", pushed["id"])
    assert shown.code == 0
    for text in (person(0), "name=Ada = Bo", "History", "BACKLOG", "FINISHED", "CANCELLED"):
        assert text in shown.out


async def test_a_leads_calls_are_a_table(shell: Shell) -> None:
    await shell.house.number("+14155550000")
    lead_id, call_id = await shell.house.dialled_call()
    shown = await shell.breeze("lead", "show", lead_id)
    row = next(line for line in shown.out.splitlines() if call_id in line)
    assert "+14155550000" in row
    assert (await shell.done("lead", "show", lead_id))["calls"][0]["id"] == call_id


async def test_a_lead_without_its_variables_is_refused(shell: Shell) -> None:
    await shell.house.template()
    refused = await shell.breeze("lead", "push", person(0), "--template", "order")
    assert refused.code == ExitCode.REFUSED
    assert "variables: the template needs name" in refused.err


async def test_a_lead_is_sent_to_the_front(shell: Shell) -> None:
    await shell.house.template()
    lead = await shell.house.push()
    hurried = await shell.done("lead", "dispatch-now", lead["id"])
    assert hurried["id"] == lead["id"]


async def test_a_number_is_added_listed_disabled_and_enabled(shell: Shell) -> None:
    added = await shell.breeze("number", "add", "+1 415 555 0001", "--channels", "3", "--daily-cap", "200")
    assert added.out == "+14155550001 has 3 lines\n"
    (number,) = await shell.done("number", "list")
    assert (number["phone"], number["channels"], number["daily_cap"]) == ("+14155550001", 3, 200)
    off = await shell.breeze("number", "disable", "+1 (415) 555-0001")
    assert off.out == "+14155550001 is not used any more\n"
    assert (await shell.done("number", "list"))[0]["enabled"] is False
    assert (await shell.done("number", "enable", number["id"]))["enabled"] is True
    assert "+14155550001" in (await shell.breeze("number", "list")).out


async def test_a_phone_is_put_on_the_list_found_there_and_taken_off(shell: Shell) -> None:
    assert (await shell.breeze("dnc", "check", person(0))).code == ExitCode.NOT_FOUND
    added = await shell.breeze("dnc", "add", person(0), "--reason", "asked by post")
    assert added.out == f"{person(0)} is on the do-not-call list\n"
    assert (await shell.breeze("dnc", "add", person(0))).out == f"{person(0)} is on the do-not-call list already\n"
    found = await shell.breeze("dnc", "check", "+1 212-555-1000")
    assert found.code == 0
    assert "asked by post" in found.out
    assert (await shell.done("dnc", "check", person(0)))["listed"] is True
    assert [entry["phone"] for entry in await shell.done("dnc", "list")] == [person(0)]
    await shell.done("dnc", "remove", person(0))
    gone = await shell.breeze("dnc", "check", person(0), "--json")
    assert (gone.code, gone.json) == (ExitCode.NOT_FOUND, {"phone": person(0), "listed": False})


async def test_a_file_of_phones_is_put_on_the_list_and_bad_rows_are_named(shell: Shell) -> None:
    file = shell.file("gone.csv", f"phone,reason\n{person(1)},asked\n98765 43210,moved\nnobody,\n{person(1)},again\n")
    done = await shell.breeze("dnc", "import", file, "--default-country", "IN")
    assert done.code == ExitCode.IN_PART
    assert done.out.startswith("2 phones taken, 1 known already, 1 refused\n")
    assert "nobody" in done.out
    assert (await shell.breeze("dnc", "check", "+919876543210")).code == 0
