"""One execution: what was asked, what all its parts share, and what is counted of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tiermesh_executor.answer_events import AnswerEvent, ClarificationAsked, LookUp, TableShown
from tiermesh_executor.context import CallContext
from tiermesh_executor.figure_facts import Facts
from tiermesh_executor.figures import FigureGuard
from tiermesh_executor.models.calls import CallScope
from tiermesh_executor.outlet import Outlet
from tiermesh_executor.prose import CommitPoint, Prose
from tiermesh_executor.tables import Table, in_plain_words

_MOST_LOOK_UPS = 8
_FINDINGS_CHARACTERS = 8_000
# As the message between the tiers has room for.
_NAME_CHARACTERS, _ARGUMENTS_CHARACTERS = 64, 8_192


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant", "summary"]
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """What `Execute` asks for. `scope` is the classifier's message, handed on untouched."""

    context: CallContext
    question: str
    tier: int
    intent: str = ""
    domain: str = ""
    turns: Sequence[Turn] = ()
    prior_findings: str = ""
    # What the tier that handed over had looked up.
    look_ups: Sequence[LookUp] = ()
    continue_from: str = ""
    bulk_only: bool = False
    speculative: bool = False
    commit_point: CommitPoint = CommitPoint.FIRST_SENTENCE
    allowed_models: frozenset[str] = frozenset()
    max_cost_micros: int = 0
    scope: object = None
    # Tier 1 hands over when it states less; None asks for no statement.
    least_confidence: float | None = None
    # The same for what its statement has been worth.
    least_right: float | None = None
    # A judge reads tier 1's answer before it is released.
    judged: bool = False

    @property
    def hearsay(self) -> str:
        """What the tier that handed over says to have found."""
        return "\n".join(filter(None, [*(one.told for one in self.look_ups), self.prior_findings]))

    @property
    def states_confidence(self) -> bool:
        """Whether the model is asked how sure it is."""
        return self.tier == 1 and (self.least_confidence is not None or self.least_right is not None)


@dataclass(slots=True)
class Execution:
    """A task under way."""

    task: Task
    scope: CallScope
    outlet: Outlet[AnswerEvent]
    prose: Prose
    tables: list[Table] = field(default_factory=list)
    # Known, and shown only if the answer rests on them alone.
    held_tables: list[Table] = field(default_factory=list)
    # What else figures may be quoted from: passages, values of other teams' tools.
    texts: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    # What a next tier can look up again.
    look_ups: list[LookUp] = field(default_factory=list)
    # Names that tools were asked for and that nobody the caller may see has.
    unknown_names: list[str] = field(default_factory=list)
    # Tools that could not be reached when they were last called.
    out_of_reach: set[str] = field(default_factory=set)
    tool_calls: int = 0
    statements: int = 0
    time_to_first_token: float | None = None
    waiting_for: str = ""

    def note_reach(self, calls: Iterable[tuple[str, bool]]) -> None:
        """The calls of one round by tool, and whether each came to nothing for want of its server.

        A later round in which the tool answers makes up for it; a sister call of the same round does not.
        """
        found = list(calls)
        self.out_of_reach -= {name for name, _ in found}
        self.out_of_reach |= {name for name, unreachable in found if unreachable}

    async def show_table(self, table: Table) -> None:
        """Goes to the user, and holds the figures from here on."""
        self.tables.append(table)
        self.statements += table.statements
        await self.prose.show(TableShown(table))
        self.ground()

    def hold_table(self, table: Table) -> None:
        """It holds the figures; whether it is what the user wants to see, the model has yet to say."""
        self.tables.append(table)
        self.held_tables.append(table)
        self.statements += table.statements

    async def show_held_tables(self) -> None:
        """Goes to the user where nothing else was looked up."""
        if self.tables == self.held_tables:
            for table in self.held_tables:
                await self.prose.show(TableShown(table))

    def ground(self) -> None:
        """Figures must hold against what is known by now; without rows there is nothing to hold them against."""
        if not self.tables:
            return
        task, tables = self.task, list(self.tables)
        texts = self._told()
        locale = task.context.locale or "en"

        def facts() -> Facts:
            return Facts(tables, texts, today=task.context.asked_at.date(), locale=locale)

        self.prose.ground(FigureGuard(facts, locale=locale), lambda: in_plain_words(tables[-1]))

    def evidence(self) -> list[str]:
        """What an answer may rest on; nothing as long as nothing was looked up."""
        if not self.tables and not self.texts:
            return []
        rows = [str(cell) for table in self.tables for row in table.rows for cell in row]
        labels = [
            text
            for table in self.tables
            for text in (table.caption, *table.notes, *(column.label for column in table.columns))
        ]
        return [*self._told(), *rows, *labels]

    def _told(self) -> list[str]:
        return [self.task.question, *(turn.text for turn in self.task.turns), *self.texts]

    async def ask_back(self, question: str, options: Sequence[str]) -> None:
        """Ends the answer with a question to the user."""
        self.prose.drop_preamble()
        await self.prose.show(ClarificationAsked(question, tuple(options)[:10]))
        await self.prose.commit()

    def found(self, what: str) -> None:
        """Something that a next tier may start from."""
        self.findings.append(what)

    def looked_up(self, one: LookUp, *, again: bool) -> None:
        """What a tool gave; `again` when a next tier may make the call once more."""
        fits = len(one.tool) <= _NAME_CHARACTERS and len(one.arguments) <= _ARGUMENTS_CHARACTERS
        if again and fits and len(self.look_ups) < _MOST_LOOK_UPS:
            self.look_ups.append(one)
        else:
            self.found(one.told)

    def looked_up_in_vain(self) -> None:
        """What was looked up is not what it takes: a next tier is told, and looks elsewhere."""
        self.findings[:0] = [one.told for one in self.look_ups]
        self.look_ups.clear()

    @property
    def all_found(self) -> list[str]:
        """For whoever judges the answer."""
        return [*(one.told for one in self.look_ups), *self.findings]

    @property
    def findings_text(self) -> str:
        """What cannot be looked up again. Bounded; the newest is kept."""
        return "\n".join(self.findings)[-_FINDINGS_CHARACTERS:]
