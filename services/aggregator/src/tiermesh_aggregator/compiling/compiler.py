"""The door of the compiler: a question whose names are resolved becomes exactly one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tiermesh_pack.semantic import PrecomputedView, SemanticModel

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.compiled import Compiled
from tiermesh_aggregator.compiling.figures import figures
from tiermesh_aggregator.compiling.money import Reporting
from tiermesh_aggregator.compiling.parts import Context
from tiermesh_aggregator.compiling.plan import plan
from tiermesh_aggregator.compiling.precomputed import Ready, answered
from tiermesh_aggregator.compiling.records import Reader, records
from tiermesh_aggregator.compiling.scope import RowScope
from tiermesh_aggregator.query import Aggregation, Moment, Query, Viewer


class Compiler:
    """Compiles questions over one pack. Pure: the database is not asked."""

    def __init__(self, model: SemanticModel, catalog: Catalog, *, lateral: bool = True) -> None:
        """Without `lateral`, for dialects that cannot look up the latest of several rows per record, such as Trino."""
        if model.person is None:
            raise ValueError("a model without people has not been checked")
        self._person = model.person
        self._model = model
        self._catalog = catalog
        self._lateral = lateral

    def compile(
        self,
        query: Query,
        moment: Moment,
        viewer: Viewer,
        labels: Mapping[str, str],
        *,
        beyond: bool = True,
        views: Sequence[Ready] = (),
    ) -> Compiled:
        """`labels` word the keys that names were resolved to. Raises an AggregatorError when something is off.

        Not `beyond`, nobody is summed up whose single records the viewer may not see, whatever the model allows.
        `views` are those that are fresh enough: the smallest that answers exactly does.
        """
        if query.aggregation in (Aggregation.LIST, Aggregation.OUTLIERS):
            return records(Reader(self._model, self._catalog, moment, viewer), query, labels)
        planned = plan(self._model, query, moment, viewer, beyond=beyond)
        scope = RowScope(self._catalog, self._person, viewer, planned.rules, wide=planned.wide)
        rates = self._model.currencies
        reporting = Reporting(self._catalog, rates, planned.reporting, lateral=self._lateral) if rates else None
        over = answered(planned, self._model, views, moment) if views else None
        used: tuple[PrecomputedView, ...] = ()
        if over is not None:
            planned, used = over
        made = figures(planned, Context(self._catalog, self._model, moment, scope, reporting), dict(labels))
        return replace(made, views=tuple(view.name for view in used))
