"""The route that a labelled turn must have, by the labelling guide. Decides nothing live: that is tiermesh_policy's."""

from tiermesh_pack.examples import Example, Route
from tiermesh_pack.vocabulary import Intent


def route_of(example: Example, intent: Intent) -> Route:
    """The route that follows from the labels; an example whose `route` differs is labelled wrongly somewhere.

    A bulk answer needs a data question: writes, policies and small talk never have one. What a policy question or a
    single look-up cannot settle alone (doubt, several steps, high stakes, several people's records) goes to tier 2.
    """
    hard = example.ambiguous or example.multi_step
    several = example.cardinality != "one"
    bulk = intent.kind == "data" and intent.domain != ""
    if bulk and not hard and (several or example.aggregation != "none"):
        return "aggregate"
    if hard or several or example.stakes == "high":
        return "tier2"
    return "tier1"
