"""`breeze template chat`: a template's conversation in the terminal."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from breeze_buddy.cli.documents import read_document
from breeze_buddy.cli.errors import OptionError
from breeze_buddy.cli.options import pairs
from breeze_buddy.cli.printing import print_json, say
from breeze_buddy.cli.template_check import read_template
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.errors import MissingVariables
from breeze_buddy.domain.providers import provider_of
from breeze_buddy.domain.template import Template
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import Dialogue
from breeze_buddy.media.providers.choosing import Providers
from breeze_buddy.media.providers.livekit import import_plugins
from breeze_buddy.media.requests import HttpRequests
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.text_call import NotTyped, TextCall
from breeze_buddy.provider_settings import allowed_plugins, is_configured, what_is_missing
from breeze_buddy.settings import Settings


async def run_chat(settings: Settings, file: Path, given: Sequence[str], *, engine: str | None, as_json: bool) -> int:
    """Talk until the conversation is over, or there are no more lines. `engine` is template, scripted, or None: as the
    template says where that can be had. Raises FileError, OptionError."""
    template = read_template(read_document(file))
    call = StreamCall(call_id="chat", lead_id=None, template=template, variables=variables_for(template, given))
    requests = HttpRequests(settings.http_request_hosts, allow_private=settings.http_request_allow_private)
    providers = Providers(settings, requests)
    try:
        dialogue = None if engine == "scripted" else _model_of(template, settings, providers, needed=engine is not None)
        return await _talk(TextCall(call, dialogue or ScriptedDialogue(requests)), as_json=as_json)
    finally:
        await providers.close()


def _model_of(template: Template, settings: Settings, providers: Providers, *, needed: bool) -> Dialogue | None:
    """The template's language model; None: the scripted engine. Raises OptionError where one is `needed`."""
    if template.engine == "scripted":
        return None
    why = "the engine realtime needs sound"
    if template.llm is not None:
        models = [one for one in (template.llm, template.llm.fallback) if one is not None]
        missing = [
            provider for one in models if (provider := provider_of(one)) and not is_configured(settings, provider)
        ]
        if len(missing) < len(models):
            import_plugins(template.plugins & allowed_plugins(settings))
            if (dialogue := providers.dialogue(template)) is not None:
                return dialogue
            why = "the template's language model cannot be had"
        else:
            why = what_is_missing(settings, missing[0])
    if needed:
        raise OptionError(f"--engine template: {why}")
    say(f"{why}: the scripted engine speaks.")
    return None


async def _talk(text: TextCall, *, as_json: bool) -> int:
    _print_agent(await text.begin(), text, as_json=as_json)
    typed = sys.stdin.isatty()
    while text.over is None:
        line = await asyncio.to_thread(_line, "> " if typed and not as_json else "")
        if line is None:
            break
        if not typed and not as_json:
            print(f"caller: {line}")
        try:
            said = await text.type(line)
        except NotTyped as error:
            say(str(error))
            continue
        _print_agent(said, text, as_json=as_json)
    report = text.report()
    if as_json:
        print_json(report.model_dump(mode="json", exclude={"call_id"}))
    else:
        print_end(ConversationEnd.model_validate(report.model_dump()))
    return 0


def variables_for(template: Template, given: Sequence[str]) -> dict[str, str]:
    """The variables of the command line. Raises OptionError when the template needs more."""
    variables = pairs("--variable", given)
    try:
        template.check_variables(variables)
    except MissingVariables as error:
        wanted = " ".join(f"--variable {name}=…" for name in error.names)
        raise OptionError(f"the template needs {', '.join(error.names)}: {wanted}") from None
    return variables


class ConversationEnd(BaseModel):
    """How a conversation ended, and what it brought."""

    ending: Ending
    result: str | None
    answers: dict[str, str]
    callback_at: datetime | None = None
    do_not_call: bool = False


def print_end(report: ConversationEnd) -> None:
    print(f"ending: {report.ending}")
    if report.result is not None:
        print(f"result: {report.result}")
    for name, value in report.answers.items():
        print(f"answer: {name} = {value}")
    if report.callback_at is not None:
        print(f"calls back: {report.callback_at:%Y-%m-%d %H:%M %Z}")
    if report.do_not_call:
        print("do not call: yes")


def _line(prompt: str) -> str | None:
    if prompt:
        print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _print_agent(said: Sequence[str], text: TextCall, *, as_json: bool) -> None:
    if as_json:
        return
    for sentence in said:
        print(f"agent: {sentence}", flush=True)
    if text.human_wanted is not None:
        about = f" ({text.human_wanted})" if text.human_wanted else ""
        print(f"A human is asked for{about}. How does that end? /talked, /busy, /no_answer …", flush=True)
