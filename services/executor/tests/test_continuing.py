"""The rest of an answer joins its beginning: nothing is said twice, no words run together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_executor.models.continuing import Seam


def joined(shown: str, *rest: str) -> str:
    seam = Seam(shown)
    return shown + "".join(seam.feed(piece) for piece in rest) + seam.end()


@pytest.mark.parametrize(
    ("shown", "rest", "whole"),
    [
        ("It is so. ", ["And it ends."], "It is so. And it ends."),
        ("It is so.", ["And it ends."], "It is so. And it ends."),
        ("It is so", [" and", " ends."], "It is so and ends."),
        ("It is s", ["o and ends."], "It is so and ends."),
        ("It is so. ", [" And it ends."], "It is so. And it ends."),
        ("It is so. ", ["It is", " so. And it ends."], "It is so. And it ends."),
        ("It is so. ", ["It is so."], "It is so. "),
        ("It is so. ", ["It is not."], "It is so. It is not."),
        ("It is so. ", ["It is"], "It is so. It is"),
        ("One. The second sentence. ", ["The second sentence. Three."], "One. The second sentence. Three."),
        ("", ["All of it."], "All of it."),
        ("It is so. ", [""], "It is so. "),
    ],
)  # fmt: skip
def test_the_rest_joins_the_beginning(shown: str, rest: list[str], whole: str) -> None:
    assert joined(shown, *rest) == whole


@given(st.text("ab .", min_size=1, max_size=12), st.lists(st.text("ab .", max_size=4), max_size=6))
def test_nothing_of_a_rest_that_is_no_repetition_is_lost(shown: str, pieces: list[str]) -> None:
    rest = "".join(pieces).strip()
    if not rest or not shown.strip() or rest.startswith(shown.strip()):
        return
    assert joined(shown, *pieces).replace(" ", "") == (shown + rest).replace(" ", "")


@given(st.text("ab .", min_size=1, max_size=12), st.integers(1, 5))
def test_a_model_that_begins_again_is_not_heard_twice(shown: str, size: int) -> None:
    again = f"{shown.strip()} and more"
    pieces = [again[at : at + size] for at in range(0, len(again), size)]
    if shown.strip():
        assert joined(shown, *pieces).replace(" ", "") == f"{shown} and more".replace(" ", "")
