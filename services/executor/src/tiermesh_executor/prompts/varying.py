"""The part of a prompt that differs from question to question. It always comes after what is cached."""

from tiermesh_executor.context import CallContext


def about_now(context: CallContext) -> str:
    """The day and the language of the asker."""
    day = context.asked_at
    language = f" The user's locale is {context.locale}." if context.locale else ""
    return f"Today is {day.date().isoformat()} ({day:%A}), {day:%H:%M} in the user's time zone.{language}"


def question_text(question: str) -> str:
    """Marked, so that nothing in it passes for an instruction of ours."""
    return f"<question>\n{question}\n</question>"
