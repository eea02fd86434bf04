"""The pack's own pills: there for every family of intents, and fit to be shown."""

from __future__ import annotations

import pytest
from tiermesh_pack import Pack
from tiermesh_suggester.candidates import Dropped, presentable
from tiermesh_suggester.fallback import Asked, fallback_candidates


def families(pack: Pack) -> list[str]:
    return sorted({intent.family for intent in pack.vocabulary.intents.values() if intent.domain})


def test_every_family_of_data_questions_has_pills_without_a_model(pack: Pack) -> None:
    for family in families(pack):
        intent = next(name for name, intent in pack.vocabulary.intents.items() if intent.family == family)
        candidates = fallback_candidates(pack, Asked(intent, "none", family, "", ()))
        assert len(candidates) >= 3, family
        assert presentable(candidates, Dropped()) == candidates


@pytest.mark.parametrize("group_by", [(), ("department",)])
def test_a_ranking_leads_to_other_dimensions_the_year_before_and_the_total(
    pack: Pack, group_by: tuple[str, ...]
) -> None:
    candidates = fallback_candidates(pack, Asked("leave.history", "rank", "leave", "leave_days", group_by))
    texts = [candidate.text for candidate in candidates]
    assert any(candidate.kind == "compare" for candidate in candidates)
    assert any("total" in text for text in texts)
    assert ("Show leave days taken by department" in texts) == (not group_by)


def test_an_intent_that_the_pack_lacks_gives_no_pills(pack: Pack) -> None:
    assert fallback_candidates(pack, Asked("no_signal", "none", "", "", ())) == []
