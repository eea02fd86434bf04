"""History as any model takes it, whoever made it.

Blocks that only their maker understands stay behind, tool calls and their results pair
up, roles alternate, and a candidate that refuses the beginning of its own answer never
gets one. Every provider sends what comes out of here and nothing else.
"""

import hashlib
import re
from collections.abc import Sequence

from tiermesh_executor.models.request import Message, OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart

_SAFE_ID = re.compile(r"^[A-Za-z0-9_-]{1,40}$")
_NO_RESULT = "The call was not completed."
_BEGIN = "Go on."
_GO_ON = "Go on exactly from the end of that and repeat nothing."


def portable(messages: Sequence[Message], maker: str, *, prefill: bool) -> list[Message]:
    """`maker` is "provider/model" of the candidate that is asked; see the module."""
    known = _merged([Message(message.role, _kept(message.parts, maker)) for message in messages])
    while known and known[0].role == "assistant":
        # A conversation begins with its user, whatever was cut away.
        del known[0]
    paired = _merged(_Pairing().over(known))
    if not paired:
        return [Message("user", [TextPart(_BEGIN)])]
    last = paired[-1]
    if last.role == "assistant":
        if not prefill:
            return [*paired, Message("user", [TextPart(_GO_ON)])]
        # The beginning of an answer may not end with white space.
        paired[-1] = Message("assistant", _trimmed(last.parts))
    return paired


def _kept(parts: Sequence[Part], maker: str) -> list[Part]:
    kept = [
        part
        for part in parts
        if not (isinstance(part, OpaquePart) and part.maker != maker)
        and not (isinstance(part, TextPart) and not part.text.strip())
    ]
    # Thinking alone is no message.
    return kept if any(not isinstance(part, OpaquePart) for part in kept) else []


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Without empty messages, and no role twice in a row."""
    found: list[Message] = []
    for message in messages:
        if not message.parts:
            continue
        if found and found[-1].role == message.role:
            found[-1] = Message(message.role, [*found[-1].parts, *message.parts])
        else:
            found.append(message)
    return found


class _Pairing:
    """Gives every call an id of its own that all providers take, and exactly one result right after it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def over(self, messages: Sequence[Message]) -> list[Message]:
        found: list[Message] = []
        open_calls: dict[str, str] = {}
        for message in messages:
            if message.role == "user":
                found.append(self._answered(message, open_calls))
                open_calls = {}
                continue
            parts: list[Part] = []
            for part in message.parts:
                if not isinstance(part, ToolCallPart):
                    parts.append(part)
                elif part.call_id not in open_calls:
                    open_calls[part.call_id] = self._new_id(part.call_id)
                    parts.append(ToolCallPart(open_calls[part.call_id], part.name, part.arguments))
            found.append(Message("assistant", parts))
        if open_calls:
            found.append(self._answered(Message("user", []), open_calls))
        return found

    @staticmethod
    def _answered(message: Message, open_calls: dict[str, str]) -> Message:
        """Results first, as their provider wants them; what answers no call is told in words."""
        left = dict(open_calls)
        results: list[Part] = []
        others: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResultPart):
                others.append(part)
            elif part.call_id in left:
                results.append(ToolResultPart(left.pop(part.call_id), part.content, part.is_error))
            else:
                others.append(TextPart(f"<earlier_result>\n{part.content}\n</earlier_result>"))
        results += [ToolResultPart(call_id, _NO_RESULT, is_error=True) for call_id in left.values()]
        return Message("user", [*results, *others])

    def _new_id(self, call_id: str) -> str:
        safe, number = call_id, 0
        while safe in self._taken or not _SAFE_ID.match(safe):
            digest = hashlib.blake2b(f"{number}:{call_id}".encode(), digest_size=12).hexdigest()
            safe, number = f"call_{digest}", number + 1
        self._taken.add(safe)
        return safe


def _trimmed(parts: Sequence[Part]) -> list[Part]:
    last = parts[-1]
    return [*parts[:-1], TextPart(last.text.rstrip())] if isinstance(last, TextPart) else list(parts)
