"""The limits of one call on one clock: the deadline, the first token, a stall."""

import asyncio

from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ModelRequest


class Watch:
    """Starts when it is made."""

    def __init__(self, request: ModelRequest) -> None:
        """`request` names the limits."""
        self._clock = asyncio.get_running_loop().time
        self._request = request
        self._spoke = False
        self._until = self._clock() + request.first_token_seconds

    @property
    def until(self) -> float:
        """Until when the next sign of life has to come, on the event loop's clock."""
        return min(self._until, self._request.expires_at)

    def heard(self, *, speech: bool) -> None:
        """Something came; before the model's first token only `speech` counts."""
        if self._spoke or speech:
            self._spoke = True
            self._until = self._clock() + self._request.stall_seconds

    def timed_out(self) -> ProviderError:
        """Which limit it was."""
        request = self._request
        if self._clock() >= request.expires_at:
            return ProviderError(ErrorKind.DEADLINE, "the time for this call ran out")
        if self._spoke:
            return ProviderError(ErrorKind.STALLED, f"the model said nothing for {request.stall_seconds:g} s")
        message = f"the model's first token took longer than {request.first_token_seconds:g} s"
        return ProviderError(ErrorKind.SLOW_FIRST_TOKEN, message)
