"""Tiermesh domain packs: loads one from files, checks it, and hands it over as frozen data. Needs no engine code."""

from tiermesh_pack.examples import Example, Route, conversations
from tiermesh_pack.handbook import HandbookSection
from tiermesh_pack.manifest import Defaults
from tiermesh_pack.pack import Pack, load_pack
from tiermesh_pack.personas import Persona
from tiermesh_pack.problems import PackError, Problem, Problems
from tiermesh_pack.routes import route_of
from tiermesh_pack.schema import Column, Schema, Table
from tiermesh_pack.vocabulary import Axis, Intent, Rule, Vocabulary, no_signal

__all__ = [
    "Axis",
    "Column",
    "Defaults",
    "Example",
    "HandbookSection",
    "Intent",
    "Pack",
    "PackError",
    "Persona",
    "Problem",
    "Problems",
    "Route",
    "Rule",
    "Schema",
    "Table",
    "Vocabulary",
    "conversations",
    "load_pack",
    "no_signal",
    "route_of",
]
