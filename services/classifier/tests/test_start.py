"""Starting: what is missing is told with the setting and the mend."""

from pathlib import Path

import pytest
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh_classifier.__main__ import build
from tiermesh_classifier.settings import ClassifierSettings
from tiermesh_runtime.settings import load_settings
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


async def test_a_shadow_that_cannot_be_loaded_names_the_setting(pack, artefact_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="TIERMESH_CLASSIFIER_SHADOW_ARTEFACT"):
        async with build(ClassifierSettings(pack=pack.path, artefact=artefact_folder, shadow_artefact=tmp_path)):
            pass


async def test_an_executor_and_a_shadow_are_wired_by_settings(pack, artefact_folder: Path) -> None:
    settings = ClassifierSettings(
        pack=pack.path, artefact=artefact_folder, shadow_artefact=artefact_folder, executor_address="127.0.0.1:9"
    )
    async with build(settings) as parts:
        context = RequestContext(request_id="r", tenant="acme", pack_version="hr@1.0.0")
        request = pb.DescribeVocabularyRequest(context=context)
        described = await parts.registrations[0].servicer.DescribeVocabulary(request, None)

    assert described.language_model_version
    assert described.shadow_artefact_version == described.artefact_version


def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TIERMESH_CLASSIFIER_EXECUTOR_ADDRESS", "nowhere")

    with pytest.raises(SystemExit) as caught:
        load_settings(ClassifierSettings, [])

    assert caught.value.code == 2
    assert "TIERMESH_CLASSIFIER_EXECUTOR_ADDRESS" in capsys.readouterr().err
