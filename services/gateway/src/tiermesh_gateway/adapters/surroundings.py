"""What goes with the task that answers: the principal for inner calls, the request id, the decision in the trace."""

from __future__ import annotations

import structlog
from opentelemetry import trace
from tiermesh_policy import Decision
from tiermesh_runtime import call_context, principal, question_baggage, semconv, telemetry
from tiermesh_runtime.principal import PrincipalSigner

from tiermesh_gateway.events import Receipt
from tiermesh_gateway.question import Caller, Question, Tenant, Turn

# Purpose of principals that people take to insights: their roles alone decide what they may do there.
CONSOLE_PURPOSE = "console"
CONSOLE_SECONDS = 300.0
SHADOW_PURPOSE = "shadow"
INNER_AUDIENCE = ("classifier", "executor", "aggregator", "suggester")


class TaskSurroundings:
    """Binds the current task to a question."""

    def __init__(self, signer: PrincipalSigner) -> None:
        self._signer = signer
        meter = telemetry.meter("tiermesh_gateway")
        self._decisions = meter.create_counter("tiermesh.decisions", description="Decisions by route and rule.")
        self._speculations = meter.create_counter(
            "tiermesh.speculations", description="Turns for which two tiers were started, by the tier that was kept."
        )
        self._losers = meter.create_counter(
            "tiermesh.speculation.loser_cost", unit="{micro-dollar}", description="Estimated cost of cancelled tiers."
        )
        self._answers = meter.create_counter("tiermesh.answers", description="Answers by route and wholeness.")
        self._first_event = telemetry.duration_histogram("tiermesh.answer.first_event")
        # From the answer's end to the first pill; 0 for one that came before.
        self._pills_delay = telemetry.duration_histogram("tiermesh.pills.delay")

    def enter(self, question: Question, conversation_id: str) -> str:
        """Sign the principal, name the request; the trace id, empty when the trace is not sampled."""
        call_context.use_request_id(question.request_id)
        token = self._signer.mint(
            tenant=question.caller.tenant,
            subject=question.caller.subject,
            roles=question.caller.roles,
            audience=INNER_AUDIENCE,
            pack_version=question.tenant.pack,
            request_id=question.request_id,
        )
        principal.forward(token)
        question_baggage.carry(question.tenant.name, conversation_id)
        span = trace.get_current_span()
        span.set_attribute(semconv.TENANT, question.tenant.name)
        span.set_attribute(semconv.REQUEST_ID, question.request_id)
        known = span.get_span_context()
        return trace.format_trace_id(known.trace_id) if known.is_valid and known.trace_flags.sampled else ""

    def enter_shadow(self, question: Question) -> None:
        """Sign a principal of purpose shadow: the person's rows, and a request of its own."""
        call_context.use_request_id(question.request_id)
        token = self._signer.mint(
            tenant=question.caller.tenant,
            subject=question.caller.subject,
            roles=question.caller.roles,
            audience=("executor", "aggregator"),
            purpose=SHADOW_PURPOSE,
            pack_version=question.tenant.pack,
            request_id=question.request_id,
        )
        principal.forward(token)

    def for_insights(self, caller: Caller, tenant: Tenant) -> str:
        """Sign a principal with which a person calls insights, and nothing else."""
        return self._signer.mint(
            tenant=caller.tenant,
            subject=caller.subject,
            roles=caller.roles,
            audience=("insights",),
            purpose=CONSOLE_PURPOSE,
            pack_version=tenant.pack,
            request_id=call_context.request_id(),
            ttl=CONSOLE_SECONDS,
        )

    def decided(self, turn: Turn, decision: Decision, confidence: float | None) -> None:
        """Note the decision and its reasons on the question's root span."""
        route = "none" if decision.route is None else str(decision.route)
        rules = [reason.rule for reason in decision.reasons]
        self._decisions.add(1, {"tiermesh.route": route, "tiermesh.rule": rules[-1] if rules else ""})
        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attributes(
            {
                semconv.GEN_AI_CONVERSATION: turn.conversation_id,
                "tiermesh.turn": turn.number,
                "tiermesh.route": route,
                "tiermesh.tier": 0 if decision.tier is None else int(decision.tier),
                "tiermesh.decision.rules": rules,
                "tiermesh.decision.reasons": [reason.detail for reason in decision.reasons],
                "tiermesh.threshold": decision.threshold.value,
                "tiermesh.threshold.version": decision.threshold.version,
                "tiermesh.policy.version": decision.policy_version,
            }
        )
        if confidence is not None:
            span.set_attribute("tiermesh.confidence", confidence)

    def answered(self, receipt: Receipt) -> None:
        """Note how it ended."""
        route = {"tiermesh.route": str(receipt.route)}
        self._answers.add(1, {**route, "tiermesh.complete": str(receipt.complete).lower()})
        times = receipt.timings
        if times.first_answer_event is not None:
            self._first_event.record(times.first_answer_event, route)
        if times.first_pill is not None and times.answer_done is not None:
            self._pills_delay.record(max(times.first_pill - times.answer_done, 0.0), route)
        if receipt.speculation is not None:
            labels = {"tiermesh.tier": int(receipt.speculation.winner)}
            self._speculations.add(1, labels)
            self._losers.add(receipt.speculation.loser_micros, labels)
        structlog.get_logger().info(
            "question_answered",
            conversation_id=receipt.conversation_id,
            route=str(receipt.route),
            tier=int(receipt.tier),
            complete=receipt.complete,
            pills=receipt.pills,
        )
        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attributes(
            {
                "tiermesh.answer.route": str(receipt.route),
                "tiermesh.answer.tier": int(receipt.tier),
                "tiermesh.answer.complete": receipt.complete,
                "tiermesh.answer.pills": receipt.pills,
                "tiermesh.answer.cost_micros": sum(cost.micros for cost in receipt.costs),
            }
        )
