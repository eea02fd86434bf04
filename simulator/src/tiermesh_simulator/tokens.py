"""Counts tokens: ceil(UTF-8 bytes / 4) for text, plus a fixed overhead per block, message and tool.

An approximation, the same everywhere: in `usage`, in `count_tokens`, for limits and for the prompt cache. It is
additive over blocks, so that what is read from the cache and what is not always sum up to the whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

BLOCK_OVERHEAD: Final = 3
MESSAGE_OVERHEAD: Final = 4
TOOL_OVERHEAD: Final = 12
IMAGE_TOKENS: Final = 1500


def text_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def json_tokens(value: object) -> int:
    """Count the tokens of a value as compact JSON."""
    return text_tokens(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


def tool_tokens(tool: Mapping[str, Any]) -> int:
    """Count the tokens of a tool's definition."""
    return TOOL_OVERHEAD + json_tokens({key: value for key, value in tool.items() if key != "cache_control"})


def block_tokens(block: Mapping[str, Any]) -> int:
    """Count the tokens of one content block of a request."""
    kind = block.get("type")
    if kind == "text":
        return BLOCK_OVERHEAD + text_tokens(str(block.get("text", "")))
    if kind == "image":
        return BLOCK_OVERHEAD + IMAGE_TOKENS
    if kind == "tool_use":
        return BLOCK_OVERHEAD + text_tokens(str(block.get("name", ""))) + json_tokens(block.get("input", {}))
    if kind == "tool_result":
        content = block.get("content", "")
        if isinstance(content, str):
            return BLOCK_OVERHEAD + text_tokens(content)
        return BLOCK_OVERHEAD + sum(block_tokens(part) for part in content)
    return BLOCK_OVERHEAD + json_tokens({key: value for key, value in block.items() if key != "cache_control"})
