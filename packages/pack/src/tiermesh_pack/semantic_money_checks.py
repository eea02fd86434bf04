"""Whether a model's money can be converted: the rate table, and what its measures say of currency and day."""

from tiermesh_pack.documents import Key
from tiermesh_pack.schema import Schema
from tiermesh_pack.semantic_checker import Checker
from tiermesh_pack.semantic_model import Currencies, Domain, Entity, Measure, SemanticModel

computed = ("sum", "average", "min", "max", "percentile")
kinds = {"currency": ("text",), "date": ("date",), "rate": ("decimal", "integer")}


def check_currencies(check: Checker, currencies: Currencies, schema: Schema) -> None:
    """One row a currency and day, so that a rate never multiplies a record."""
    where: tuple[Key, ...] = ("currencies", "rates")
    if currencies.base not in currencies.reporting:
        what = f'"{currencies.base}" is the base, but not among the currencies of reporting'
        check.report(("currencies", "reporting"), what, f"add {currencies.base}")
    if not check.table((*where, "table"), currencies.table):
        return
    names = {"currency": currencies.currency, "date": currencies.date, "rate": currencies.rate}
    for key, name in names.items():
        column = check.column((*where, key), name, currencies.table, {})
        if column is not None and (column.kind not in kinds[key] or column.nullable):
            wanted = " or ".join(kinds[key])
            check.report((*where, key), f'"{name}" is of type {column.type}', f"name a {wanted} that is never empty")
    if set(schema.tables[currencies.table].primary_key) != {currencies.currency, currencies.date}:
        what = f'"{currencies.table}" may have several rates of a currency on a day, so rows could multiply'
        check.report((*where, "table"), what, f"make its key {currencies.currency}, {currencies.date}")


def check_money(check: Checker, entity: Entity, measure: Measure, model: SemanticModel) -> None:
    """A measure whose amounts are in the currency of each record."""
    money = measure.money
    if money is None:
        return
    where: tuple[Key, ...] = ("measures", measure.name, "currency")
    if model.currencies is None:
        check.report(where, "the model has no rates to convert with", "add currencies to the file of kind: model")
    if measure.compute not in computed:
        check.report(where, f"a {measure.compute} is no money", "take currency out")
    column = check.column((*where, "column"), money.column, entity.table, entity.joins)
    if column is not None and column.kind != "text":
        check.report((*where, "column"), f'"{money.column}" is of type {column.type}', "name the column of the code")
    if money.date:
        day = check.column((*where, "date"), money.date, entity.table, entity.joins)
        if day is not None and day.kind != "date":
            check.report((*where, "date"), f'"{money.date}" is of type {day.type}', "name a column of type date")
    elif not measure.time:
        check.report(where, "nothing says on which day the rate holds", "add date")


def check_fixed(check: Checker, domain: Domain, measure: Measure, model: SemanticModel) -> None:
    """A ratio of converted money is in whatever currency is asked for: to say another would be wrong."""
    where: tuple[Key, ...] = ("measures", measure.name, "currency")
    if measure.compute == "ratio" and measure.money is not None:
        check.report(where, "a ratio has no records of its own", "take currency out: its numerator says it")
    elif measure.currency and model.converted(measure, domain.name):
        what = f'"{measure.numerator}" is converted to the currency that is asked for'
        check.report(where, f"{what}, so its ratio is not always {measure.currency}", "take currency out")
