"""A statement as text with its parameters, and the fingerprint of its shape."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # published untyped
"""Both engines take PostgreSQL's SQL with $1, $2, …"""


@dataclass(frozen=True)
class Statement:
    """SQL with parameters by position; the text holds no values of the question."""

    sql: str
    parameters: Sequence[Any]
    fingerprint: str


def trino() -> Dialect:
    """Trino's SQL with ?, for a cluster that reads many stores. Only compiled so far: no engine speaks to one."""
    # Imported only here: who does not use it need not install it.
    from trino.sqlalchemy.dialect import TrinoDialect

    return TrinoDialect(paramstyle="qmark")  # type: ignore[no-untyped-call] # published untyped


def statement(clause: ClauseElement, words: Dialect = dialect) -> Statement:
    """Compiles a SQLAlchemy construct in the words of a dialect, by default those that both engines take."""
    compiled = clause.compile(dialect=words, compile_kwargs={"render_postcompile": True})
    positions: Sequence[str] = getattr(compiled, "positiontup", None) or ()
    parameters = tuple(compiled.params[name] for name in positions)
    return Statement(compiled.string, parameters, fingerprint(compiled.string))


def literally(clause: ClauseElement) -> str:
    """The same as text without parameters, for statements that are kept. Only for what holds no value of a question."""
    return clause.compile(dialect=dialect, compile_kwargs={"literal_binds": True}).string


def fingerprint(sql: str) -> str:
    """The same for statements that differ in values, in the number of values or in white space only."""
    shape = re.sub(r"\s+", " ", sql)
    shape = re.sub(r"\$\d+(::[A-Z]+(\[\])?)?", "?", shape)
    shape = re.sub(r"\?(, \?)+", "?", shape)
    shape = re.sub(r"\(\?\)(, \(\?\))+", "(?)", shape)
    return hashlib.sha256(shape.encode()).hexdigest()[:16]
