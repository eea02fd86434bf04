"""What SQL dialects word differently, each said once. PostgreSQL's words, which DuckDB takes too, are the usual ones.

Another dialect is added by its words here and its entry in `engines.statement`; nothing else in the compiler knows one.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Expression = sa.ColumnElement[Any]
trino = "trino"


class _OneOf(FunctionElement[bool]):
    """(column, array of values)"""

    name = "one_of"
    type = sa.Boolean()
    inherit_cache = True


class _Days(FunctionElement[int]):
    """(day, earlier day)"""

    name = "days"
    type = sa.BigInteger()
    inherit_cache = True


class _Percentile(FunctionElement[float]):
    """(value)"""

    name = "percentile"
    type = sa.Double()
    # What it holds besides its clauses would have to be part of a statement's shape.
    inherit_cache = False

    def __init__(self, value: Expression, share: float) -> None:
        super().__init__(value)
        self.share = f"{share:g}"


class _Shifted(FunctionElement[Any]):
    """(timestamp)"""

    name = "shifted"
    type = sa.TIMESTAMP()
    # What it holds besides its clauses would have to be part of a statement's shape.
    inherit_cache = False

    def __init__(self, stamp: Expression, amount: int, unit: str) -> None:
        super().__init__(stamp)
        self.amount, self.unit = amount, unit


class _Bytewise(FunctionElement[str]):
    """(text)"""

    name = "bytewise"
    type = sa.Text()
    inherit_cache = True


def one_of(column: Expression, values: Sequence[object], kind: sa.types.TypeEngine[Any]) -> Expression:
    """Whether the column is one of the values: one parameter whatever their number, so that the shape stays."""
    return _OneOf(column, sa.literal(list(values), ARRAY(kind)))


def days_between(day: Expression, earlier: Expression) -> Expression:
    """Days from the earlier day to the other."""
    return _Days(day, earlier)


def percentile(value: Expression, share: float) -> Expression:
    """The exact percentile of a group, between two values in proportion."""
    return _Percentile(value, share)


def shifted(stamp: Expression, amount: int, unit: str) -> Expression:
    """The instant so many units ("month", "day") later; earlier for a negative amount."""
    return _Shifted(stamp, amount, unit)


def bytewise(text: Expression) -> Expression:
    """The text in the order of its bytes, whatever the collation of the database."""
    return _Bytewise(text)


def _worded(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> list[str]:
    return [compiler.process(one, **options) for one in element.clauses]


@compiles(_OneOf)
def _one_of(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _worded(element, compiler, **options)
    return f"({column} = ANY ({values}))"


@compiles(_OneOf, trino)
def _one_of_trino(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:
    # The array comes first in the text as well, so parameters are compiled in that order.
    column, values = element.clauses
    array = compiler.process(values, **options)
    return f"contains({array}, {compiler.process(column, **options)})"


@compiles(_Days)
def _days(element: _Days, compiler: SQLCompiler, **options: Any) -> str:
    day, earlier = _worded(element, compiler, **options)
    return f"({day} - {earlier})"


@compiles(_Days, trino)
def _days_trino(element: _Days, compiler: SQLCompiler, **options: Any) -> str:
    day, earlier = element.clauses
    first = compiler.process(earlier, **options)
    return f"date_diff('day', {first}, {compiler.process(day, **options)})"


@compiles(_Percentile)
def _percentile(element: _Percentile, compiler: SQLCompiler, **options: Any) -> str:
    (value,) = _worded(element, compiler, **options)
    return f"percentile_cont({element.share}) WITHIN GROUP (ORDER BY {value})"


@compiles(_Percentile, trino)
def _percentile_trino(element: _Percentile, compiler: SQLCompiler, **options: Any) -> str:
    """Trino's own percentile is an estimate; sorted in an array the exact one can be read off."""
    (value,) = _worded(element, compiler, **options)
    place = f"(cardinality(a) - 1) * DOUBLE '{element.share}'"
    low, high = (f"element_at(a, CAST({edge}({place}) AS INTEGER) + 1)" for edge in ("floor", "ceil"))
    between = f"{low} + ({place} - floor({place})) * ({high} - {low})"
    # The value may hold parameters and stands twice in no form: the filter of nulls is in the array's own function.
    ordered = f"array_sort(filter(array_agg({value}), x -> x IS NOT NULL))"
    return f"element_at(transform(ARRAY[{ordered}], a -> IF(cardinality(a) > 0, {between})), 1)"


@compiles(_Shifted)
def _shifted(element: _Shifted, compiler: SQLCompiler, **options: Any) -> str:
    (stamp,) = _worded(element, compiler, **options)
    return f"({stamp} + INTERVAL '{element.amount} {element.unit}')"


@compiles(_Shifted, trino)
def _shifted_trino(element: _Shifted, compiler: SQLCompiler, **options: Any) -> str:
    (stamp,) = _worded(element, compiler, **options)
    return f"date_add('{element.unit}', {element.amount}, {stamp})"


@compiles(_Bytewise)
def _bytewise(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = _worded(element, compiler, **options)
    return f'{text} COLLATE "C"'


@compiles(_Bytewise, trino)
def _bytewise_trino(element: _Bytewise, compiler: SQLCompiler, **options: Any) -> str:
    """Trino knows no collations: it always compares bytes."""
    (text,) = _worded(element, compiler, **options)
    return text
