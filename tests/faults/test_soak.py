"""A few hundred streamed answers, some cancelled: nothing is left behind. `make soak` is the long one."""

import asyncio

import pytest

from tests.faults.soak import soak


@pytest.mark.timeout(300)
def test_streamed_answers_leave_no_tasks_and_no_sockets_and_cancelling_reaches_the_provider() -> None:
    soaked = asyncio.run(soak(320, share_cancelled=0.1, within=20))
    assert soaked.answers == 320
    assert soaked.cancelled >= 10
    assert soaked.problems() == []
