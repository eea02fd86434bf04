"""Whose question a call belongs to, for who reads traces: tenant and conversation, from hop to hop as W3C baggage.

Two keys and nothing else, neither of which says who asked. What callers of the suite
send along ends at its edge; providers of models are sent none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from tiermesh_runtime import semconv

KEYS = (semconv.TENANT, semconv.GEN_AI_CONVERSATION)
_VALUE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def carry(tenant: str, conversation_id: str = "") -> None:
    """Let calls of this task and of those it starts say to which tenant and conversation they belong."""
    context = baggage.set_baggage(semconv.TENANT, tenant, baggage.clear())
    if conversation_id:
        context = baggage.set_baggage(semconv.GEN_AI_CONVERSATION, conversation_id, context)
    otel_context.attach(context)  # ends with the task


def without(context: Context) -> Context:
    """Return `context` with no baggage: what came from outside of the suite."""
    return baggage.clear(context) if baggage.get_all(context) else context


def bounded(context: Context) -> Context:
    """Return `context` with our two keys alone, each only where it has the form of an id."""
    found = baggage.get_all(context)
    known = {key: value for key, value in found.items() if key in KEYS and _is_id(value)}
    if len(known) == len(found):
        return context
    context = baggage.clear(context)
    for key, value in known.items():
        context = baggage.set_baggage(key, value, context)
    return context


def attributes(context: Context) -> Mapping[str, str]:
    """Return what `context` carries as attributes of a span."""
    return {key: str(value) for key, value in baggage.get_all(context).items()}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _VALUE.fullmatch(value) is not None
