"""A statement as text with its parameters, and the fingerprint of its shape."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # published untyped
"""Both engines take PostgreSQL's SQL with $1, $2, …"""

_shapes: LRUCache[Any, Any] = LRUCache(500)
"""Texts by the shape of what they were compiled from, by dialect: values are no part of a shape."""


@dataclass(frozen=True)
class Statement:
    """SQL with parameters by position; the text holds no values of the question."""

    sql: str
    parameters: Sequence[Any]
    fingerprint: str


def trino() -> Dialect:
    """Trino's SQL with ?, for a cluster that reads many stores. Only compiled so far: no engine speaks to one."""
    # Imported only here: who does not use it need not install it.
    from trino.sqlalchemy.compiler import TrinoSQLCompiler
    from trino.sqlalchemy.dialect import TrinoDialect

    # Its lead() and lag() take the place of SQLAlchemy's own and say nothing of caching, which is a warning.
    TrinoSQLCompiler.GenericIgnoreNulls.inherit_cache = False
    for function in TrinoSQLCompiler.GenericIgnoreNulls.__subclasses__():
        function.inherit_cache = False
    return TrinoDialect(paramstyle="qmark")  # type: ignore[no-untyped-call] # published untyped


def statement(clause: ClauseElement, words: Dialect = dialect) -> Statement:
    """Compiles a SQLAlchemy construct in the words of a dialect, by default those that both engines take.

    What has the shape of an earlier construct is not compiled again: only its values are taken out.
    """
    compiled, extracted, *_ = clause._compile_w_cache(
        words, compiled_cache=_shapes, column_keys=[], for_executemany=False, schema_translate_map=None
    )
    if isinstance(compiled, SQLCompiler) and compiled.post_compile_params:
        # The text itself depends on how many values there are.
        compiled, extracted = clause.compile(dialect=words, compile_kwargs={"render_postcompile": True}), None
    values = compiled.construct_params(extracted_parameters=extracted) or {}
    positions: Sequence[str] = getattr(compiled, "positiontup", None) or ()
    return Statement(compiled.string, tuple(values[name] for name in positions), fingerprint(compiled.string))


def literally(clause: ClauseElement) -> str:
    """The same as text without parameters, for statements that are kept. Only for what holds no value of a question."""
    return clause.compile(dialect=dialect, compile_kwargs={"literal_binds": True}).string


@lru_cache(500)
def fingerprint(sql: str) -> str:
    """The same for statements that differ in values, in the number of values or in white space only."""
    shape = re.sub(r"\s+", " ", sql)
    shape = re.sub(r"\$\d+(::[A-Z]+(\[\])?)?", "?", shape)
    shape = re.sub(r"\?(, \?)+", "?", shape)
    shape = re.sub(r"\(\?\)(, \(\?\))+", "(?)", shape)
    return hashlib.sha256(shape.encode()).hexdigest()[:16]
