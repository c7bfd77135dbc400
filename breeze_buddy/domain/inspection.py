"""What is allowed in a template and hardly meant: nodes nobody reaches, words nothing has answered, circles, shadows.

An *error* is heard in a call sooner or later; a *warning* may be on purpose. What does not fit together at all was
refused when the template was read.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel, ConfigDict

from breeze_buddy.domain.errors import DomainError
from breeze_buddy.domain.flow import (
    TRANSFER_RESULT,
    Flow,
    Function,
    HttpRequest,
    Node,
    TransferToAgent,
    placeholders,
    targets,
    words_of,
)
from breeze_buddy.domain.flow.conditions import Condition, variables_of
from breeze_buddy.domain.flow.routes import Way, conditions
from breeze_buddy.domain.template import Template

Place = tuple[str | int, ...]


class Finding(BaseModel):
    """Something to look at: `loc` is where in the template, as in a 422."""

    model_config = ConfigDict(frozen=True)

    severity: Literal["error", "warning"]
    loc: Place
    code: str
    message: str


class _Edge(BaseModel):
    """A way from a node to another, and the answers that are known once it is taken."""

    to: str
    answers: frozenset[str] = frozenset()


class Flawed(DomainError):
    """A template with errors, which are its `findings`."""

    code = "flawed_template"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


def check(template: Template) -> tuple[Finding, ...]:
    """The warnings. Raises Flawed when there are errors."""
    findings = inspect(template)
    errors = tuple(one for one in findings if one.severity == "error")
    if errors:
        raise Flawed(errors)
    return findings


def inspect(template: Template) -> tuple[Finding, ...]:
    """All findings, errors first, each kind in the order of the nodes."""
    flow = template.flow
    edges = {name: list(_edges(flow, node)) for name, node in flow.nodes.items()}
    reached = _reached(flow.start, edges)
    found = [
        *_circles(flow),
        *_unanswered(template, edges, reached),
        *_unreachable(flow, reached),
        *_dead_ends(flow, edges, reached),
        *_shadows(flow),
        *_unheard(template),
        *_unset(template),
        *_misspelt(template),
        *_nobodys(template),
    ]
    return tuple(sorted(found, key=lambda one: one.severity != "error"))


# --- the graph --------------------------------------------------------------------------------------------------


def _edges(flow: Flow, node: Node) -> Iterator[_Edge]:
    for function in flow.offered(node):
        known = frozenset(function.answers) | {one.name for one in function.parameters if one.required}
        yield from _to(function.go, known)
    captures, then = node.captures, node.then
    if captures is not None:
        yield from _to(captures.go, frozenset({captures.name}))
    for way in (node.go, node.otherwise, node.on_silence):
        yield from _to(way)
    if isinstance(then, HttpRequest):
        yield from _to(then.go, frozenset(then.save) if then.failed is not None else frozenset())
        yield from _to(then.failed)
    if isinstance(then, TransferToAgent):
        yield from _to(then.failed, frozenset({TRANSFER_RESULT}))


def _to(way: Way | None, answers: frozenset[str] = frozenset()) -> Iterator[_Edge]:
    return (_Edge(to=target, answers=answers) for target in targets(way))


def _reached(start: str, edges: dict[str, list[_Edge]]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for edge in edges[ahead.pop()]:
            if edge.to not in reached:
                reached.add(edge.to)
                ahead.append(edge.to)
    return reached


def _unreachable(flow: Flow, reached: set[str]) -> Iterator[Finding]:
    for name in flow.nodes:
        if name not in reached:
            message = f"node {name!r} is never reached: no way leads from {flow.start!r} to it"
            yield _warning(_node(name), "unreachable", message)


def _dead_ends(flow: Flow, edges: dict[str, list[_Edge]], reached: set[str]) -> Iterator[Finding]:
    leads_on = {name for name, node in flow.nodes.items() if node.ends}
    while more := {
        name for name, ways in edges.items() if name not in leads_on and any(edge.to in leads_on for edge in ways)
    }:
        leads_on |= more
    for name in flow.nodes:
        if name in reached and name not in leads_on:
            message = f"from node {name!r} no way leads to an end (`then`): the call ends without a result"
            yield _warning(_node(name), "dead_end", message)


def _circles(flow: Flow) -> Iterator[Finding]:
    """Nodes that go on to each other for ever without a question."""
    told: set[str] = set()
    for name in flow.nodes:
        seen: list[str] = []
        at: str | None = name
        while at is not None and at not in seen:
            seen.append(at)
            go = flow.nodes[at].go
            at = go if isinstance(go, str) else None
        if at is not None and at not in told:
            circle = seen[seen.index(at) :]
            told.update(circle)
            yield Finding(
                severity="error",
                loc=(*_node(at), "go"),
                code="circle",
                message=f"{' → '.join([*circle, at])}: these nodes go on for ever and never ask anything",
            )


# --- answers ----------------------------------------------------------------------------------------------------


def _unanswered(template: Template, edges: dict[str, list[_Edge]], reached: set[str]) -> Iterator[Finding]:
    flow = template.flow
    given = frozenset(template.variables)
    always, ever = _known(flow.start, edges, reached, everything=flow.answers | {TRANSFER_RESULT})
    for name, node in flow.nodes.items():
        if name not in reached:
            continue
        for place, text in _said_on_entry(node):
            for used in sorted((placeholders(text) & (flow.answers | {TRANSFER_RESULT})) - given):
                loc = (*_node(name), *place)
                if used not in ever[name]:
                    message = f"node {name!r} says {{{used}}}, and nothing on the way there has answered it"
                    yield Finding(severity="error", loc=loc, code="never_answered", message=message)
                elif used not in always[name]:
                    message = f"node {name!r} says {{{used}}}, which not every way there has answered: it may be empty"
                    yield _warning(loc, "maybe_unanswered", message)


def _known(
    start: str, edges: dict[str, list[_Edge]], reached: set[str], *, everything: frozenset[str]
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """What is answered at each node on every way to it, and on some way to it."""
    always = {name: frozenset() if name == start else everything for name in reached}
    ever: dict[str, frozenset[str]] = dict.fromkeys(reached, frozenset())
    changed = True
    while changed:
        changed = False
        for name in reached:
            for edge in edges[name]:
                surely = always[edge.to] & (always[name] | edge.answers)
                maybe = ever[edge.to] | ever[name] | edge.answers
                if surely != always[edge.to] or maybe != ever[edge.to]:
                    always[edge.to], ever[edge.to] = surely, maybe
                    changed = True
    return always, ever


def _said_on_entry(node: Node) -> Iterator[tuple[Place, str]]:
    yield ("say",), node.say
    if node.reprompt is not None:
        yield from ((("reprompt",), text) for text in node.reprompts)
    if isinstance(node.then, HttpRequest):
        yield from ((("then",), text) for text in node.then.texts)
    if isinstance(node.then, TransferToAgent):
        yield ("then", "reason"), node.then.reason


def _unset(template: Template) -> Iterator[Finding]:
    """Conditions on what nothing sets."""
    flow = template.flow
    known = template.required_variables | flow.answers | {TRANSFER_RESULT}
    for place, condition in _conditions(flow):
        for name in sorted(variables_of(condition) - known):
            message = (
                f"the condition looks at {name!r}, which nothing answers: it has no value unless the lead brings one"
                + _hint(name, known)
            )
            yield _warning(place, "unset_variable", message)


def _conditions(flow: Flow) -> Iterator[tuple[Place, Condition]]:
    for name, node in flow.nodes.items():
        for place, way in (("go", node.go), ("otherwise", node.otherwise), ("on_silence", node.on_silence)):
            yield from (((*_node(name), place), condition) for condition in conditions(way))
        captures = node.captures
        if captures is not None:
            yield from (((*_node(name), "capture"), condition) for condition in conditions(captures.go))
        if isinstance(node.then, HttpRequest):
            ways = (node.then.go, node.then.failed)
            yield from (((*_node(name), "then"), one) for way in ways for one in conditions(way))
        yield from _conditions_of(node.functions, (*_node(name), "functions"))
    yield from _conditions_of(flow.functions, ("flow", "functions"))


def _conditions_of(functions: Iterable[Function], place: Place) -> Iterator[tuple[Place, Condition]]:
    for index, function in enumerate(functions):
        own = (function.when,) if function.when is not None else ()
        yield from (((*place, index), condition) for condition in (*own, *conditions(function.go)))


def _misspelt(template: Template) -> Iterator[Finding]:
    """Placeholders that look like another name of the flow, and would be wanted of every lead."""
    flow = template.flow
    listed = frozenset(template.variables)
    for name, node in flow.nodes.items():
        for text in node.texts:
            for used in sorted(placeholders(text) - flow.answers - listed - {TRANSFER_RESULT}):
                if hint := _hint(used, flow.answers | listed):
                    message = f"node {name!r} says {{{used}}}, which each lead would have to bring" + hint
                    yield _warning(_node(name), "maybe_misspelt", message)


def _nobodys(template: Template) -> Iterator[Finding]:
    """Private variables that nothing else in the template knows: spelt otherwise, they would be told."""
    known = template.required_variables | template.flow.answers
    for index, name in enumerate(template.private_variables):
        if name not in known:
            message = f"`private_variables` has {name!r}, which is private only in leads that bring it"
            yield _warning(("private_variables", index), "unknown_private", message + _hint(name, known))


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.8)
    return f"; is {near[0]!r} meant?" if near else ""


# --- functions --------------------------------------------------------------------------------------------------


def _shadows(flow: Flow) -> Iterator[Finding]:
    """Functions of one node that the same words, or keys, would take: the first of them is."""
    for name, node in flow.nodes.items():
        offered = flow.offered(node)
        names = [function.name for function in offered]
        if twice := sorted({one for one in names if names.count(one) > 1}):
            yield _warning(_node(name), "same_name", f"node {name!r} offers two functions named {', '.join(twice)}")
        for index, later in enumerate(offered):
            loc = (*_node(name), "functions", index) if index < len(node.functions) else _node(name)
            for earlier in offered[:index]:
                if earlier.when is None and later.when is None and (shared := _shared(earlier, later)):
                    message = f"at node {name!r}, {shared} takes {earlier.name!r}, never {later.name!r}"
                    yield _warning(loc, "shadowed", message)
            captures = node.captures
            if later.digits and captures is not None and captures.value_type != "string":
                message = f"at node {name!r}, {later.digits} takes {later.name!r}, also as the beginning of a number"
                yield _warning(loc, "shadowed", message)


def _shared(one: Function, other: Function) -> str | None:
    if one.digits and one.digits == other.digits:
        return f"key {one.digits}" if len(one.digits) == 1 else f"keys {one.digits}"
    phrases = {words_of(phrase) for phrase in one.phrases} & {words_of(phrase) for phrase in other.phrases}
    return f"“{' '.join(min(phrases))}”" if phrases else None


def _unheard(template: Template) -> Iterator[Finding]:
    """Functions that the scripted engine can never choose."""
    if template.engine != "scripted":
        return
    for name, node in template.flow.nodes.items():
        for index, function in enumerate(node.functions):
            if not function.phrases and not function.digits:
                message = (
                    f"function {function.name!r} of node {name!r} has no phrases and no digits: nobody can choose it"
                )
                yield _warning((*_node(name), "functions", index), "never_chosen", message)


def _node(name: str) -> Place:
    return "flow", "nodes", name


def _warning(loc: Place, code: str, message: str) -> Finding:
    return Finding(severity="warning", loc=loc, code=code, message=message)
