"""The semantic model: what a pack's tables mean, in the words that people ask with. Reads no file and makes no SQL.

`semantic_loading` builds it from YAML and checks it against the schema; the aggregator compiles it to SQL; the
classifier reads names, synonyms and defaults from it.
"""

from tiermesh_pack.semantic_loading import load_semantic
from tiermesh_pack.semantic_model import (
    Condition,
    Currencies,
    Dimension,
    Domain,
    Entity,
    Join,
    ListView,
    Lookup,
    Measure,
    Money,
    OutlierRules,
    PersonModel,
    PrecomputedView,
    ReportingLines,
    SemanticModel,
    TimeColumn,
    Visibility,
    aggregations,
    grains,
)

__all__ = [
    "Condition",
    "Currencies",
    "Dimension",
    "Domain",
    "Entity",
    "Join",
    "ListView",
    "Lookup",
    "Measure",
    "Money",
    "OutlierRules",
    "PersonModel",
    "PrecomputedView",
    "ReportingLines",
    "SemanticModel",
    "TimeColumn",
    "Visibility",
    "aggregations",
    "grains",
    "load_semantic",
]
