"""Server-sent events out of bytes: whatever one read from the network has made whole, at once.

Knows no provider. The SDK's own reader makes a validated object of each event: more work than the rest of a stream.
"""

from collections.abc import Iterator

_MOST_WAITING = 4 * 1024 * 1024


class ServerSentEvents:
    """One stream's reader."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        """Yield (event, data) of each event that is whole now; one without data is left out.

        Raises UnicodeDecodeError for what is no UTF-8, ValueError for an event without an end.
        """
        waiting = self._rest + data
        if b"\r" in waiting:
            # A lone one at the end may be half of a line's end.
            held = b"\r" if waiting.endswith(b"\r") else b""
            waiting = waiting.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *whole, self._rest = waiting.split(b"\n\n")
        if len(self._rest) > _MOST_WAITING:
            raise ValueError("an event of the stream has no end")
        for block in whole:
            if (event := _event(block.decode())) is not None:
                yield event


def _event(block: str) -> tuple[str, str] | None:
    name, data = "", []
    for line in block.split("\n"):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif field == "event":
            name = value.removeprefix(" ")
    return (name, "\n".join(data)) if data else None
