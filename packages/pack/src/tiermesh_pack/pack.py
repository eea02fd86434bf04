"""A whole pack, loaded and cross-checked. How each part is read is told beside that part."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tiermesh_pack.documents import Document, Problems, suggestion
from tiermesh_pack.examples import load_examples
from tiermesh_pack.handbook import HandbookSection, load_handbook
from tiermesh_pack.manifest import Defaults, Manifest, load_manifest
from tiermesh_pack.personas import Persona, load_personas
from tiermesh_pack.schema import Schema, load_schema
from tiermesh_pack.semantic import SemanticModel, load_semantic
from tiermesh_pack.vocabulary import Intent, Vocabulary, load_axes, load_intents, load_rules

known_axes = (
    "intent",
    "cardinality",
    "temporal",
    "aggregation",
    "position",
    "needs_context",
    "ambiguous",
    "multi_step",
    "stakes",
    "surround",
)
"""The axes that every pack scores; a pack words their labels, it cannot leave one out or add one."""


@dataclass(frozen=True)
class Pack:
    """One domain pack, ready to use. Nothing in it changes after loading."""

    name: str
    version: str
    description: str
    path: Path
    defaults: Defaults
    vocabulary: Vocabulary
    schema: Schema
    semantic: SemanticModel
    handbook: tuple[HandbookSection, ...]
    personas: tuple[Persona, ...]
    operations: Mapping[str, str]
    """Kept GraphQL documents by the name of their file. Their words are the aggregator's to check."""

    @property
    def identity(self) -> str:
        """What requests pin: "hr@1.0.0"."""
        return f"{self.name}@{self.version}"


def load_pack(path: Path) -> Pack:
    """Loads the pack in the folder `path`. Raises `PackError` with every problem, each with file, line and mend."""
    root = path.resolve()
    problems = Problems(root)
    manifest = load_manifest(root, problems)
    if manifest is None:
        problems.raise_if_any()
        raise AssertionError("a manifest that cannot be loaded has told why")
    schema = load_schema(manifest.schema, problems)
    semantic = load_semantic(manifest.semantic, schema, problems)
    pack = Pack(
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        path=root,
        defaults=manifest.defaults,
        vocabulary=_vocabulary(manifest, semantic, problems),
        schema=schema,
        semantic=semantic,
        handbook=load_handbook(manifest.handbook, problems),
        personas=load_personas(manifest.personas, problems),
        operations={path.stem: path.read_text(encoding="utf-8") for path in manifest.operations},
    )
    problems.raise_if_any()
    return pack


def _vocabulary(manifest: Manifest, semantic: SemanticModel, problems: Problems) -> Vocabulary:
    intents, document = load_intents(manifest.intents, problems)
    if document is not None:
        _check_domains(document, intents, semantic, problems)
    axes = load_axes(manifest.axes, intents, problems)
    for name in known_axes:
        if name not in axes:
            problems.add(manifest.axes, 0, f'the axis "{name}" is missing', "describe it and its labels")
    rules, populations = load_rules(manifest.rules, axes, problems)
    vocabulary = Vocabulary(intents, axes, rules, populations)
    labels = {name: frozenset(axis.labels) for name, axis in axes.items()}
    return replace(vocabulary, examples=load_examples(manifest.examples, labels, problems))


def _check_domains(
    document: Document, intents: Mapping[str, Intent], semantic: SemanticModel, problems: Problems
) -> None:
    """An intent's domain and measure exist in the semantic model, so that a bulk call has something to ask for."""
    for name, intent in intents.items():
        domain = semantic.domains.get(intent.domain)
        if intent.domain and domain is None:
            line = document.line("intents", name, "domain")
            mend = suggestion(intent.domain, list(semantic.domains))
            problems.add(document.path, line, f'"{intent.domain}" is no domain of the semantic model', mend)
        elif domain is not None and intent.default_measure and intent.default_measure not in domain.measures:
            line = document.line("intents", name, "default_measure")
            what = f'"{intent.default_measure}" is no measure of the domain "{intent.domain}"'
            problems.add(document.path, line, what, suggestion(intent.default_measure, list(domain.measures)))
    for domain in semantic.domains.values():
        for name in (name for name in domain.intents if name not in intents):
            what = f'the domain "{domain.name}" answers "{name}", which is no intent'
            problems.add(document.path, document.line("intents"), what, suggestion(name, list(intents)))
