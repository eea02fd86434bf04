"""Artefacts that come and go while calls are served, and what the classifier tells of itself."""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh_classifier import telemetry
from tiermesh_classifier.artefact import ArtefactError, load
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, Depth, Question
from tiermesh_classifier.live import Live, Reloader, stamp_of
from tiermesh_classifier.scores import Scores
from tiermesh_classifier.servicer import ClassifierServicer
from tiermesh_pack import Pack

NO_CONTEXT: Any = None


def with_version(classifier: Classifier, version: str) -> Classifier:
    """The same classifier under another version."""
    other = object.__new__(Classifier)
    other.__dict__.update(classifier.__dict__)
    other.artefact = replace(classifier.artefact, version=version)
    return other


def touched(folder: Path) -> None:
    """A manifest that is another file with the same bytes."""
    fresh = folder / "manifest.new"
    shutil.copyfile(folder / "manifest.json", fresh)
    fresh.replace(folder / "manifest.json")


@pytest.fixture
def folder(artefact_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artefact_folder, tmp_path / "model"))


@pytest.fixture
def request_() -> pb.ClassifyRequest:
    context = RequestContext(request_id="r1", tenant="acme", pack_version="hr@1.0.0")
    return pb.ClassifyRequest(context=context, text="How many leave days do I have left?")


async def test_a_new_artefact_takes_over_and_an_unchanged_one_is_left_alone(pack: Pack, folder: Path) -> None:
    outcomes: list[bool] = []
    swapped: list[Classifier] = []
    reloader = Reloader(folder, lambda path: assemble(pack, path), outcomes.append)
    assert await reloader.check(swapped.append) is False

    touched(folder)

    assert await reloader.check(swapped.append) is True
    assert await reloader.check(swapped.append) is False
    assert (len(swapped), outcomes) == (1, [True])


@pytest.mark.parametrize("harm", ["truncated", "no_json", "missing"])
async def test_what_cannot_be_used_leaves_the_last_good_one_and_the_next_good_one_is_taken(
    pack: Pack, folder: Path, artefact_folder: Path, harm: str
) -> None:
    live = Live(assemble(pack, folder))
    good, outcomes = live.current, []
    reloader = Reloader(folder, lambda path: assemble(pack, path), outcomes.append)
    if harm == "truncated":
        (folder / "idf.npy.new").write_bytes((folder / "idf.npy").read_bytes()[:100])
        (folder / "idf.npy.new").replace(folder / "idf.npy")
        touched(folder)
    elif harm == "no_json":
        (folder / "manifest.json").write_text("{", encoding="utf-8")
    else:
        (folder / "manifest.json").unlink()

    assert await reloader.check(live.put_current) is False
    assert live.current is good

    shutil.copytree(artefact_folder, folder, dirs_exist_ok=True)
    assert await reloader.check(live.put_current) is True
    assert live.current is not good
    assert outcomes == [False, True]


async def test_whatever_loading_raises_the_watch_goes_on(folder: Path) -> None:
    def broken(path: Path) -> Classifier:
        raise KeyError("labels")

    reloader = Reloader(folder, broken, lambda swapped: None)
    touched(folder)

    assert await reloader.check(pytest.fail) is False


async def test_the_watch_sees_a_new_artefact_by_itself(pack: Pack, folder: Path) -> None:
    reloader = Reloader(folder, lambda path: assemble(pack, path), lambda swapped: None)
    taken = asyncio.Event()
    watching = asyncio.create_task(reloader.watch(0.01, lambda classifier: taken.set()))

    touched(folder)

    async with asyncio.timeout(60):
        await taken.wait()
    watching.cancel()


def test_a_folder_behind_a_link_is_seen_to_change(folder: Path, artefact_folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    before = stamp_of(link)

    (tmp_path / "next").symlink_to(artefact_folder)
    (tmp_path / "next").replace(link)

    assert stamp_of(link) != before
    assert stamp_of(tmp_path / "nothing") is None


def test_an_artefact_in_use_keeps_its_bytes_when_training_writes_over_it(pack: Pack, folder: Path) -> None:
    serving = load(folder)
    head = serving.heads["intent"].weights
    before = head[:3].copy()

    from tiermesh_classifier.artefact_files import replace_file

    replace_file(folder / "intent.weights.npy", b"something else, and shorter")

    assert (head[:3] == before).all()
    with pytest.raises(ArtefactError, match=r"intent\.weights\.npy"):
        load(folder)


async def test_a_call_ends_with_the_artefact_it_began_with(
    classifier: Classifier, executor: ThreadPoolExecutor, request_: pb.ClassifyRequest
) -> None:
    live = Live(with_version(classifier, "old"))
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow:
        async def refine(self, used: Classifier, question: Question, scores: Scores) -> Scores:
            asked.set()
            await answer.wait()
            assert used.artefact.version == "old"
            return scores

    servicer = ClassifierServicer(
        live, executor, inline_characters=600, fiscal_start_month=1, uncertain=lambda context: Slow()
    )
    first = asyncio.ensure_future(servicer.Classify(request_, NO_CONTEXT))
    await asked.wait()

    live.put_current(with_version(classifier, "new"))
    answer.set()

    assert (await first).scores.artefact_version == "old"
    local = pb.ClassifyRequest(context=request_.context, text=request_.text, depth=pb.DEPTH_LOCAL)
    assert (await servicer.Classify(local, NO_CONTEXT)).scores.artefact_version == "new"


async def test_the_shadow_scores_its_share_and_is_told_apart(
    classifier: Classifier, executor: ThreadPoolExecutor, request_: pb.ClassifyRequest
) -> None:
    live = Live(with_version(classifier, "old"), with_version(classifier, "candidate"))

    def servicer(share: float) -> ClassifierServicer:
        return ClassifierServicer(live, executor, inline_characters=600, fiscal_start_month=1, shadow_share=share)

    with_all = await servicer(1.0).Classify(request_, NO_CONTEXT)
    with_none = await servicer(0.0).Classify(request_, NO_CONTEXT)
    described = await servicer(1.0).DescribeVocabulary(
        pb.DescribeVocabularyRequest(context=request_.context), NO_CONTEXT
    )

    assert (with_all.scores.artefact_version, with_all.shadow.artefact_version) == ("old", "candidate")
    assert not with_none.HasField("shadow")
    assert (described.artefact_version, described.shadow_artefact_version) == ("old", "candidate")
    assert described.language_model_version == ""


async def test_a_shadow_that_fails_costs_nothing(
    classifier: Classifier, executor: ThreadPoolExecutor, request_: pb.ClassifyRequest
) -> None:
    class Broken:
        version = "broken"

        def score(self, question: Question, depth: Depth) -> Scores:
            raise RuntimeError

    live = Live(classifier, Broken())  # type: ignore[arg-type]
    servicer = ClassifierServicer(live, executor, inline_characters=600, fiscal_start_month=1, shadow_share=1.0)

    response = await servicer.Classify(request_, NO_CONTEXT)

    assert response.scores.intent.label == "leave.balance"
    assert not response.HasField("shadow")


async def test_drift_shows_in_the_metrics_without_a_word_of_the_text(
    classifier: Classifier,
    executor: ThreadPoolExecutor,
    request_: pb.ClassifyRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(telemetry, "meter", provider.get_meter)
    live = Live(classifier, with_version(classifier, "candidate"))
    servicer = ClassifierServicer(live, executor, inline_characters=600, fiscal_start_month=1, shadow_share=1.0)

    await servicer.Classify(request_, NO_CONTEXT)
    await servicer.Classify(pb.ClassifyRequest(context=request_.context, text="ﷺ"), NO_CONTEXT)

    found = collected(reader)
    intents = {each.attributes["label"]: each.value for each in found("tiermesh.classifier.labels", axis="intent")}
    assert intents == {"leave.balance": 1, "no_signal": 1}
    assert sum(each.count for each in found("tiermesh.classifier.confidence")) == 2
    agreement = found("tiermesh.classifier.shadow.turns", axis="intent")
    assert [(each.attributes["agrees"], each.value) for each in agreement] == [(True, 2)]
    assert "days" not in str(reader.get_metrics_data())
    provider.shutdown()


def collected(reader: InMemoryMetricReader) -> Callable[..., list[Any]]:
    """The points of a metric whose attributes hold what is asked for."""
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    return lambda name, **wanted: [
        point for point in points[name] if all((point.attributes or {}).get(k) == v for k, v in wanted.items())
    ]
