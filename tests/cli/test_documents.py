"""Definitions that people write: YAML read as people mean it, and mistakes with their line."""

from pathlib import Path

import pytest

from breeze_buddy.cli.documents import read_document
from breeze_buddy.cli.errors import FileError


def _file(folder: Path, text: str, name: str = "d.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_times_phones_and_words_are_text(tmp_path: Path) -> None:
    text = "{start: 09:00, end: 20:00, day: 2026-01-31, phone: +14155550123, say: [yes, no, on], code: 007, some: 1e3}"
    assert read_document(_file(tmp_path, text)).data == {
        "start": "09:00",
        "end": "20:00",
        "day": "2026-01-31",
        "phone": "+14155550123",
        "say": ["yes", "no", "on"],
        "code": "007",
        "some": "1e3",
    }


def test_numbers_truth_and_nothing_are_what_they_are(tmp_path: Path) -> None:
    data = read_document(_file(tmp_path, "{a: 12, b: -3, c: 0.5, d: true, e: null, f: ~, g: '5'}")).data
    assert data == {"a": 12, "b": -3, "c": 0.5, "d": True, "e": None, "f": None, "g": "5"}


@pytest.mark.parametrize("text", ['{"a":\t"b\\/c"}', "a: b/c", "{a: b/c}"])
def test_a_file_of_another_name_may_be_either(text: str, tmp_path: Path) -> None:
    assert read_document(_file(tmp_path, text, "definition")).data == {"a": "b/c"}


def test_parts_can_be_shared(tmp_path: Path) -> None:
    data = read_document(_file(tmp_path, "a: &x {b: 1}\nc: {<<: *x, d: 2}\n")).data
    assert data["c"] == {"b": 1, "d": 2}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("d.yaml", "a: 1\na: 2\n", "d.yaml, line 2, column 1: 'a' is there twice"),
        ("d.yaml", "a: [1\nb: 2\n", "line 2"),
        ("d.yaml", "- a\n- b\n", "must hold names with values"),
        ("d.yaml", "", "must hold names with values"),
        ("d.yaml", "1: a\n", "1 must be text"),
        ("d.json", '{"a": 1,\n"b": }', "line 2, column 6"),
        ("d.json", '{"a": 1, "a": 2}', "'a' is there twice"),
        ("d.json", "[]", "must hold names with values"),
        ("d.yaml", "a: !!python/object/apply:os.system [x]\n", "line 1"),
    ],
)
def test_a_mistake_is_told_with_its_place(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FileError) as refused:
        read_document(_file(tmp_path, text, name))
    assert said in str(refused.value)


def test_text_in_another_encoding_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_bytes("a: ä".encode("latin-1"))
    with pytest.raises(FileError, match="UTF-8"):
        read_document(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.yaml", "a: 1\nflow:\n  nodes:\n    - x: 1\n    - y:\n        z: 2\n"),
        ("d.json", '{"a": 1,\n"flow":\n{"nodes":\n[{"x": 1},\n{"y":\n\t{"z": 2}}]}}'),
    ],
)
def test_a_part_is_found_by_its_line(name: str, text: str, tmp_path: Path) -> None:
    document = read_document(_file(tmp_path, text, name))
    assert document.line_of(("a",)) == 1
    assert document.line_of(("flow", "nodes", 1, "y", "z")) == 6
    assert document.line_of(("flow", "nodes", 1, "missing")) == 5
    assert document.line_of(("missing",)) is None
