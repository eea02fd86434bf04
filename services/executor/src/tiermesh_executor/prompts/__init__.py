"""The executor's own prompts, by version.

The order is fixed because prefixes are cached: tools, system text, then what varies.
A system text is a constant: nothing of a question, a person or a day may enter it.
"""

from collections.abc import Mapping

from tiermesh_executor.prompts import answer, narrate, plan, rewrite

SYSTEM_TEXTS: Mapping[str, str] = {**answer.VERSIONS, **narrate.VERSIONS, **plan.VERSIONS, **rewrite.VERSIONS}
