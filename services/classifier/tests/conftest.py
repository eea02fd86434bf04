"""A small pack artefact, trained once per session, and what questions need."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from zlib import crc32

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.classifier.v1.classifier_service_pb2_grpc import (
    ClassifierServiceStub,
    add_ClassifierServiceServicer_to_server,
)
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh_classifier.artefact import load
from tiermesh_classifier.assembly import assemble_with
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.history import NO_HISTORY, History
from tiermesh_classifier.lexicon import load_lexicon
from tiermesh_classifier.live import Live
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.reader import Reader, Reading
from tiermesh_classifier.scores import Scores
from tiermesh_classifier.servicer import ClassifierServicer
from tiermesh_classifier.training.train import Options, train
from tiermesh_pack import Pack, load_pack
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import new_keys, signed_metadata

from .plain_bert import write_weights

PACK = Path(__file__).resolve().parents[3] / "packs" / "hr"
TODAY = date(2026, 11, 22)
# Enough to be right on plain questions, in seconds.
QUICK = Options(folds=2, pattern_samples=1, noise=False, strength=2.0, most_steps=25, sentence_encoder=False)
WRITTEN = ("patterns-dialogues", "patterns-doubtful")


@pytest.fixture(scope="session")
def pack() -> Pack:
    return load_pack(PACK)


def with_fewer_examples(pack: Pack, every: int, lightest: float = 100.0) -> Pack:
    """The pack with each n-th conversation and question only, and all that count at least so much."""
    kept = [
        e
        for e in pack.vocabulary.examples
        if crc32((e.conversation or e.id).encode()) % every == 0 or e.weight >= lightest
    ]
    return replace(pack, vocabulary=replace(pack.vocabulary, examples=tuple(kept)))


def with_fewer_patterns(pack: Pack, root: Path) -> Pack:
    """The pack without most of the texts that are written out by who asks: what is left trains in seconds."""
    (root / "examples").mkdir()
    for path in (pack.path / "examples").iterdir():
        written = path.suffix == ".yaml" and "\nweight:" in path.read_text(encoding="utf-8")
        if not written or path.stem in WRITTEN:
            (root / "examples" / path.name).symlink_to(path)
    return replace(pack, path=root)


@pytest.fixture(scope="session")
def artefact_folder(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    small = with_fewer_patterns(with_fewer_examples(pack, 2, lightest=2.0), tmp_path_factory.mktemp("patterns"))
    train(small, [], folder, QUICK, tell=lambda words: None)
    return folder


@pytest.fixture(scope="session")
def tiny_pack(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A pack with a few hundred examples and no patterns, for what does not look at quality."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "examples").mkdir()
    return replace(with_fewer_examples(pack, 20), path=root)


@pytest.fixture(scope="session")
def sentence_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_weights(folder)
    return folder


@pytest.fixture(scope="session")
def classifier(pack: Pack, artefact_folder: Path) -> Classifier:
    return assemble_with(pack, load(artefact_folder))


@pytest.fixture(scope="session")
def score(classifier: Classifier) -> Callable[..., Scores]:
    def score(text: str, history: History = NO_HISTORY) -> Scores:
        return classifier.score(Question(text, history, Calendar(TODAY)))

    return score


@pytest.fixture(scope="session")
def read() -> Callable[[str], Reading]:
    reader = Reader(load_lexicon(), ())
    return lambda text: reader.read(text, Calendar(TODAY))


@pytest.fixture
def calendar() -> Calendar:
    return Calendar(TODAY)


@dataclass(frozen=True)
class Served:
    """A classifier over gRPC, called as the gateway calls it."""

    stub: ClassifierServiceStub
    metadata: tuple[tuple[str, str], ...]

    def context(self, **changes: object) -> RequestContext:
        asked_at = Timestamp()
        asked_at.FromJsonString("2026-11-22T09:00:00Z")
        usual = {"request_id": "r1", "tenant": "acme", "pack_version": "hr@1.0.0", "asked_at": asked_at}
        return RequestContext(**{**usual, **changes})


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


@pytest.fixture
async def served(classifier: Classifier, executor: ThreadPoolExecutor, tmp_path: Path) -> AsyncIterator[Served]:
    keys = new_keys()
    servicer = ClassifierServicer(Live(classifier), executor, inline_characters=600, fiscal_start_month=1)
    registration = Registration(
        add_ClassifierServiceServicer_to_server, servicer, "tiermesh.classifier.v1.ClassifierService"
    )
    parts = ServiceParts("classifier", [registration], audience="classifier")
    settings = ServiceSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    async with serving(parts, settings) as running, grpc.aio.insecure_channel(running.address) as channel:
        yield Served(ClassifierServiceStub(channel), signed_metadata(keys.signer()))
