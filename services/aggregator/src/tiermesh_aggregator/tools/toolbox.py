"""All tools of one pack, by name, and the check of their arguments."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema
from tiermesh_pack.pack import Pack
from tiermesh_pack.semantic import Domain, Lookup

from tiermesh_aggregator.answering import Answering
from tiermesh_aggregator.compiling.filters import nearest
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError
from tiermesh_aggregator.handbook import Handbook
from tiermesh_aggregator.query import Query, ResultTable
from tiermesh_aggregator.tools import bulk, lookups
from tiermesh_aggregator.tools.tool import Arguments, Call, Kind, Passages, Result, Tool


class UnknownToolError(Exception):
    """No such tool; `nearest` are the closest."""

    def __init__(self, name: str, close: list[str]) -> None:
        super().__init__(f'There is no tool "{name[:64]}".')
        self.nearest = close


class Toolbox:
    """Built once; the list is the same for every caller, what a tool answers is not."""

    def __init__(self, pack: Pack, answering: Answering, handbook: Handbook, proposals: Iterable[Tool] = ()) -> None:
        self._pack = pack
        self._answering = answering
        self._handbook = handbook
        made = [*self._bulk(), *self._lookups(), *self._searches(), *proposals]
        self.tools: Mapping[str, Tool] = {tool.name: tool for tool in made}
        listed = [(tool.name, tool.description, tool.schema, tool.intents) for tool in made]
        self.version = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]

    async def call(self, name: str, text: str, call: Call) -> Result:
        """Runs a tool on arguments in JSON. Raises UnknownToolError, or an AggregatorError for wrong arguments."""
        tool = self.tools.get(name)
        if tool is None:
            raise UnknownToolError(name, nearest(name, list(self.tools)))
        return await tool.run(checked(tool, text), call)

    def _intents(self, name: str, fallback: Iterable[str]) -> tuple[str, ...]:
        """The intents whose description in the vocabulary names the tool."""
        found = tuple(one.name for one in self._pack.vocabulary.intents.values() if name in one.tools)
        return found or tuple(fallback)

    def _bulk(self) -> Iterable[Tool]:
        for domain in self._pack.semantic.domains.values():
            yield Tool(
                name=domain.tool,
                description=domain.tool_description,
                schema=bulk.schema(domain, self._pack.semantic),
                kind=Kind.BULK,
                run=self._bulk_run(domain),
                intents=domain.intents,
                domain=domain.name,
            )

    def _bulk_run(self, domain: Domain) -> Any:
        async def run(arguments: Arguments, call: Call) -> ResultTable:
            query = bulk.query(domain.name, arguments)
            return await self._answered(query, call)

        return run

    async def _answered(self, query: Query, call: Call) -> ResultTable:
        answer = await self._answering.answer(query, call.moment, call.viewer, call.timeout, answer_id=call.answer_id)
        return answer.table

    def _lookups(self) -> Iterable[Tool]:
        for domain in self._pack.semantic.domains.values():
            for lookup in domain.lookups.values():
                about_people = lookups.concerns_people(domain, lookup)
                yield Tool(
                    name=lookup.name,
                    description=lookup.description,
                    schema=lookups.schema(self._pack.semantic, domain, lookup),
                    kind=Kind.ENTITY_LOOKUP,
                    run=self._lookup_run(domain, lookup),
                    intents=self._intents(lookup.name, lookup.intents or domain.intents),
                    domain=domain.name,
                    entity_argument=lookups.entity_argument if about_people else "",
                    bulk_alternative=domain.tool,
                )

    def _lookup_run(self, domain: Domain, lookup: Lookup) -> Any:
        async def run(arguments: Arguments, call: Call) -> ResultTable:
            query = lookups.query(domain, lookup, arguments, call.moment, call.viewer)
            return await self._answered(query, call)

        return run

    def _searches(self) -> Iterable[Tool]:
        words = {"type": "string", "minLength": 1, "maxLength": 1000}
        yield Tool(
            name="handbook_search",
            description="Full-text search of the company's handbook: rules of leave, attendance, expenses, pay, "
            "reviews, benefits, conduct. Answers the best passages with their sources.",
            schema=_object({"query": words, "limit": {"type": "integer", "minimum": 1, "maximum": 10}}, ["query"]),
            kind=Kind.SEARCH,
            run=self._search,
            intents=self._intents("handbook_search", ("policy.general",)),
        )
        yield Tool(
            name="handbook_read",
            description="One section of the handbook by its source, such as a search gave it.",
            schema=_object({"source": words}, ["source"]),
            kind=Kind.SEARCH,
            run=self._read,
            intents=self._intents("handbook_read", ("policy.general",)),
        )

    async def _search(self, arguments: Arguments, _call: Call) -> Passages:
        return Passages(tuple(self._handbook.search(arguments["query"], arguments.get("limit", 4))))

    async def _read(self, arguments: Arguments, _call: Call) -> Passages:
        found = self._handbook.read(arguments["source"])
        if found is None:
            close = nearest(arguments["source"], self._handbook.sources())
            raise UnknownNameError("source", arguments["source"], "section of the handbook", close)
        return Passages((found,))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": dict(properties),
    }


def checked(tool: Tool, text: str) -> Arguments:
    """The arguments, when they fit the tool's schema. Otherwise the error names the place and what would fit."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise BadFieldError("arguments", "The arguments are not valid JSON.") from None
    if not isinstance(arguments, dict):
        raise BadFieldError("arguments", "The arguments are not a JSON object.")
    errors = list(jsonschema.Draft202012Validator(tool.schema).iter_errors(arguments))
    if errors:
        raise _worded(min(errors, key=lambda error: len(error.absolute_path)))
    return arguments


def _worded(error: jsonschema.ValidationError) -> BadFieldError:
    instance: Any = error.instance
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error.absolute_path).lstrip(".")
    rule: Any = error.validator_value
    found = str(instance)[:60]
    if error.validator == "enum":
        known = [str(one) for one in rule]
        return BadFieldError(path, f'"{found}" is not known here.', nearest(found, known) or known[:10])
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known = list(error.schema.get("properties", {}))
        unknown = next((name for name in instance if name not in known), "")
        place = f"{path}.{unknown[:60]}".lstrip(".")
        return BadFieldError(place, "There is no such argument.", nearest(unknown, known) or known)
    if error.validator == "required":
        missing = [name for name in rule if name not in instance]
        return BadFieldError(path or missing[0], f"Missing: {', '.join(missing)}.", missing)
    return BadFieldError(path or "arguments", f"The value does not fit: {error.validator} {str(rule)[:80]}.")
