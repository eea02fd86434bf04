"""A watched file: a change is taken, a bad one is not, and nobody makes us look all day."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiermesh_runtime.reloading import Reloaded, stamp_of


class NotWordsError(Exception):
    """The file is empty."""


def words(path: Path) -> list[str]:
    found = path.read_text("utf-8").split() if path.exists() else []
    if not found:
        raise NotWordsError(f"{path}: no words")
    return found


def replaced(path: Path, text: str) -> None:
    """As a mounted ConfigMap changes: another file takes the place."""
    path.with_suffix(".new").write_text(text, "utf-8")
    os.replace(path.with_suffix(".new"), path)


def reloaded(path: Path, look_every: float = 0.0) -> Reloaded[list[str]]:
    return Reloaded(path, words, unusable=NotWordsError, name="words", look_every=look_every)


def test_a_change_is_taken_and_a_bad_one_leaves_the_last_good_reading(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    replaced(path, "one")
    file = reloaded(path)
    replaced(path, "two three")
    file.look()
    assert (file.value, file.version) == (["two", "three"], 2)
    for bad in ("", None):
        path.unlink() if bad is None else replaced(path, bad)
        file.look()
        assert (file.value, file.version) == (["two", "three"], 2)
    replaced(path, "four")
    file.look()
    assert (file.value, file.version) == (["four"], 3)


def test_a_file_that_is_bad_from_the_start_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotWordsError):
        reloaded(tmp_path / "none.txt")
    assert stamp_of(tmp_path / "none.txt") is None


def test_it_is_looked_at_no_more_often_than_it_was_made_for_or_than_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    replaced(path, "one")
    file = reloaded(path, look_every=3600.0)
    replaced(path, "two")
    file.look()
    file.look(every=3600.0)
    assert file.value == ["one"]
    file.look(every=0.0)
    assert file.value == ["two"]


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    replaced(path, "one")
    file = reloaded(path)
    first = file.value
    file.look()
    assert file.value is first
