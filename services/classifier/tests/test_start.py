"""Starting: what is missing is told with the setting and the mend."""

from pathlib import Path

import pytest
from tiermesh_classifier.__main__ import build
from tiermesh_classifier.settings import ClassifierSettings
from tiermesh_runtime.startup import StartupError


async def test_a_complete_service_gives_its_parts(pack, artefact_folder: Path) -> None:
    async with build(ClassifierSettings(pack=pack.path, artefact=artefact_folder)) as parts:
        assert parts.audience == "classifier"
        assert [each.full_name for each in parts.registrations] == ["tiermesh.classifier.v1.ClassifierService"]


async def test_a_missing_artefact_names_the_setting_and_the_mend(pack, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"TIERMESH_CLASSIFIER_ARTEFACT.*make train"):
        async with build(ClassifierSettings(pack=pack.path, artefact=tmp_path)):
            pass


async def test_a_missing_pack_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="TIERMESH_CLASSIFIER_PACK"):
        async with build(ClassifierSettings(pack=tmp_path, artefact=tmp_path)):
            pass
