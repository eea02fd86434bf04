"""The report of the evaluation for people. What is in it is `evaluation`'s."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONFUSIONS = 12


def show(found: Mapping[str, Any], console: Console, errors: int | None = None) -> None:
    """Prints everything; `errors` bounds the list of errors, none lists all."""
    console.print(_axes(found))
    route = ", ".join(f"{name} {value:.3f}" for name, value in found["route"].items())
    console.print(Text(f"route       {route}"))
    confidence = ", ".join(f"{name} {value:.3f}" for name, value in found["confidence"].items())
    console.print(Text(f"confidence  {confidence}"))
    for name, values in (("latency", found["latency_ms"]), ("CPU", found["cpu_ms"])):
        console.print(Text(f"{name:11} p50 {values['p50']} ms, p99 {values['p99']} ms"))
    if found["intent_confusions"]:
        console.print(_confusions(found))
    for error in found["errors"][:errors]:
        console.print(_error(error), soft_wrap=True)


def _axes(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"{found['turns']} turns", title_justify="left")
    table.add_column("axis")
    for name in ("accuracy", "macro F1", "ECE", "its 90 %", "Brier"):
        table.add_column(name, justify="right")
    for axis, values in found["axes"].items():
        low, high = values["ece_interval"]
        figures = [f"{values[name]:.3f}" for name in ("accuracy", "macro_f1", "ece")]
        table.add_row(axis, *figures, f"{low:.3f}-{high:.3f}", f"{values['brier']:.3f}")
    return table


def _confusions(found: Mapping[str, Any]) -> Table:
    table = Table(title="intents taken for others", title_justify="left")
    table.add_column("intent")
    table.add_column("taken for")
    table.add_column("turns", justify="right")
    for each in found["intent_confusions"][:_CONFUSIONS]:
        table.add_row(each["truth"], each["taken_for"], str(each["turns"]))
    return table


def _error(error: Mapping[str, Any]) -> Text:
    gold, chosen = error["route"]
    axes = "; ".join(f"{axis}: {want} → {got} {sure}" for axis, (want, got, sure) in error["axes"].items())
    return Text(f"{error['id']} {gold} → {chosen} ({error['confidence']}) {error['text']!r} | {axes}")
