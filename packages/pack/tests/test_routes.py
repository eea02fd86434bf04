"""The route that follows from the labels of a turn."""

import dataclasses

import pytest
from tiermesh_pack import load_pack, route_of


@pytest.fixture
def route(folder):
    pack = load_pack(folder.path)

    def found(intent="sales.history", **labels):
        plain = dataclasses.replace(pack.vocabulary.examples[0], cardinality="one", aggregation="none", **labels)
        return route_of(plain, pack.vocabulary.intents[intent])

    return found


def test_data_of_several_people_goes_to_one_bulk_call(route, folder):
    pack = load_pack(folder.path)

    assert route_of(pack.vocabulary.examples[0], pack.vocabulary.intents["sales.history"]) == "aggregate"


def test_a_figure_over_many_records_of_one_person_goes_to_one_bulk_call(folder):
    pack = load_pack(folder.path)
    alone = dataclasses.replace(pack.vocabulary.examples[0], cardinality="one", aggregation="sum")

    assert route_of(alone, pack.vocabulary.intents["sales.history"]) == "aggregate"


@pytest.mark.parametrize("intent", ["sales.history", "sales.enter", "sales.policy"])
def test_one_clear_look_up_or_action_goes_to_tier_1(route, intent):
    assert route(intent) == "tier1"


@pytest.mark.parametrize("labels", [{"ambiguous": True}, {"multi_step": True}, {"stakes": "high"}])
def test_doubt_steps_and_stakes_go_to_tier_2(route, labels):
    assert route("sales.policy", **labels) == "tier2"


def test_a_hard_question_about_several_people_goes_to_tier_2(folder):
    pack = load_pack(folder.path)
    hard = dataclasses.replace(pack.vocabulary.examples[0], multi_step=True)

    assert route_of(hard, pack.vocabulary.intents["sales.history"]) == "tier2"


def test_a_write_over_several_people_goes_to_tier_2(folder):
    pack = load_pack(folder.path)
    several = dataclasses.replace(pack.vocabulary.examples[0], aggregation="none")

    assert route_of(several, pack.vocabulary.intents["sales.enter"]) == "tier2"
