"""Regular expressions of templates: those that could hold up everybody's calls are refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from breeze_buddy.domain.flow.patterns import LONGEST_MATCHED, Pattern, matches

PATTERN: TypeAdapter[str] = TypeAdapter(Pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[A-Z]{2}[0-9]{4}", "[a-z]+", ".*garden.*", r"\d{2,4}", "(?:mr|mrs) [a-z]+", "colou?r", "gold|silver",
        r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}", r"\(x\)+", "[(+*|]+",
    ],
)  # fmt: skip
def test_patterns_that_people_need_are_taken(pattern: str) -> None:
    assert PATTERN.validate_python(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+", "(a|aa)*b", "(a?){30}a{30}", "(?:x*y?){9}", "((a|b))+", ".*.*.*.*x", "a?" * 13 + "a" * 13,
        "(a|a)" * 13, "a{0,30}" * 4 + "b", "(a)\\1", "(?=a)a", "(?i)a", "[", "(a{2,3}){2}", "a{99999999999999999999}",
    ],
)  # fmt: skip
def test_patterns_that_could_take_long_or_are_none_are_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        PATTERN.validate_python(pattern)


PARTS = st.sampled_from(
    ["a", "b", ".", "[ab]", "(a)", "(ab|a)", "(?:a|b)", "a*", "a+", "a?", ".*", "(a*)", "(a?)", "{2}", "{1,9}", "*",
     "+", "?", "|", "(", ")", "\\w"]
)  # fmt: skip


@given(st.lists(PARTS, min_size=1, max_size=14))
def test_whatever_is_taken_matches_in_a_moment(parts: list[str]) -> None:
    try:
        pattern = PATTERN.validate_python("".join(parts))
    except ValidationError:
        return
    began_s = time.process_time()
    matches(pattern, "a" * (LONGEST_MATCHED - 1) + "!")
    assert time.process_time() - began_s < 1


def test_a_text_that_is_too_long_matches_nothing() -> None:
    assert matches("a+", "A" * LONGEST_MATCHED)
    assert not matches("a+", "a" * (LONGEST_MATCHED + 1))
