"""The prompt that has a model fill the one bulk call which answers a question."""

from collections.abc import Mapping

from tiermesh_executor.execution import Task
from tiermesh_executor.models.request import Message
from tiermesh_executor.prompts import answer

VERSIONS: Mapping[str, str] = {
    "plan-1": """\
You turn a question about many records into exactly one call of the tool that you are given. A database does the
counting, adding, ranking and comparing; you only say what is asked.

- Always call the tool, once, and write nothing else.
- Take every value from the question, from the conversation before it, or from the tool's own lists of values. Leave out
  what is not said: the tool has sensible defaults.
- Resolve words for time ("last quarter", "since May") against today's date, in the form that the tool describes.
- Name people and departments as the user does; the tool finds out who is meant and what the asker may see.
""",
}


def messages(task: Task) -> list[Message]:
    """The same as for an answer: a follow-up is only understood in its conversation."""
    return answer.messages(task)
