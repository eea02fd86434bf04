"""Records of the generator's arrays with everything that can be reached from them, and the keys to group them by."""

import itertools
import math
from datetime import date
from typing import Any

import pandas as pd
from tiermesh_pack.semantic import Entity, SemanticModel

today = date(2026, 11, 20)


class Records:
    """The records of each entity, joined once."""

    def __init__(self, model: SemanticModel, frames: dict[str, pd.DataFrame]) -> None:
        self._model = model
        self._frames = frames
        self._records: dict[str, pd.DataFrame] = {}
        assert model.person is not None
        self._person = model.person

    def of(self, entity: Entity) -> pd.DataFrame:
        """The records with everything that can be reached, many-to-one, as columns."""
        if entity.name not in self._records:
            self._records[entity.name] = self._joined(entity)
        return self._records[entity.name]

    def _joined(self, entity: Entity) -> pd.DataFrame:
        base = self._frames[entity.table].copy()
        joined = base.copy()
        for name, join in entity.joins.items():
            other = self._frames[join.table].add_prefix(f"{name}.")
            left = list(join.on)
            right = [f"{name}.{key}" for key in join.on.values()]
            joined = joined.merge(other, how="left", left_on=left, right_on=right)
        if entity.person:
            people = self._frames[self._person.table].copy()
            for name, join in self._person.joins.items():
                other = self._frames[join.table].add_prefix(f"{name}.")
                people = people.merge(
                    other, how="left", left_on=list(join.on), right_on=[f"{name}.{key}" for key in join.on.values()]
                )
            joined = joined.merge(
                people.add_prefix("@"), how="left", left_on=entity.person, right_on=f"@{self._person.key}"
            )
        assert len(joined) == len(base), "joins multiply nothing"
        return joined

    def key(self, entity: Entity, frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
        domain = next(one for one in self._model.domains.values() if name in one.dimensions)
        if domain.dimensions[name].kind == "person":
            return self.raw(entity, frame, name)
        if name in entity.dimensions:
            return frame[entity.shows.get(name, entity.dimensions[name])]
        dimension = self._person.dimensions[name]
        if dimension.kind == "band":
            years = (pd.Timestamp(today) - frame[f"@{self._person.columns[name]}"]).dt.days / 365.25
            edges = [-math.inf, *dimension.bands, math.inf]
            words = [f"{edge:g}" for edge in dimension.bands]
            labels = [
                f"under {words[0]}",
                *(f"{a} to under {b}" for a, b in itertools.pairwise(words)),
                f"{words[-1]} and more",
            ]
            return pd.cut(years, edges, right=False, labels=labels).astype(object)
        return frame[f"@{self._person.shows.get(name, self._person.columns[name])}"]

    def raw(self, entity: Entity, frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
        if name in entity.dimensions:
            return frame[entity.dimensions[name]]
        return frame[f"@{self._person.columns[name]}"]
