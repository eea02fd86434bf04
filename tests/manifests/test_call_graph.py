"""Who calls whom is said three times: in ARCHITECTURE.md, in the NetworkPolicies, in the traces. All three agree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .conftest import PROJECT, Object, container, objects

# Whose addresses the suite does not know: who runs them says in an overlay where they are.
OUTSIDE = {"client", "model provider", "MCP servers"}
Edge = tuple[str, str]


def service(name: str) -> str:
    """Return the part that a Deployment or job belongs to: tiers are one service, all jobs are one caller."""
    if name.endswith("-jobs"):
        return "jobs"
    return "executor" if name.startswith("executor") else name


def documented() -> set[Edge]:
    """Return caller and callee of the table "Who calls whom" in ARCHITECTURE.md."""
    text = (PROJECT / "docs/ARCHITECTURE.md").read_text().partition("## Who calls whom")[2].partition("\n## ")[0]
    edges = set()
    for callers, callees in re.findall(r"^\| ([^|→]+) → ([^|]+) \|", text, re.MULTILINE):
        if callers.strip() == "caller":
            continue
        plain = re.sub(r" \(.*?\)", "", callees).strip()
        edges |= {(caller.strip(), plain) for caller in callers.split(",")}
    return {edge for edge in edges if not OUTSIDE & set(edge)}


def peers(rules: Iterable[Object], direction: str) -> set[str]:
    """Return the services that a policy's rules name."""
    names = set()
    for rule in rules:
        for peer in rule.get(direction, []):
            if "namespaceSelector" not in peer and "podSelector" in peer:
                names.add(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"])
    return names


def allowed(direction: str) -> set[Edge]:
    """Return the edges that the policies let through, read from one side."""
    edges = set()
    for policy in objects("overlays/prod", "NetworkPolicy"):
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        if direction == "ingress":
            edges |= {(service(peer), service(own)) for peer in peers(policy["spec"].get("ingress", []), "from")}
        else:
            edges |= {(service(own), service(peer)) for peer in peers(policy["spec"].get("egress", []), "to")}
    return edges


def test_what_one_side_may_call_the_other_side_lets_in() -> None:
    assert allowed("ingress") == allowed("egress")


def test_the_policies_let_through_what_the_architecture_says_and_nothing_else() -> None:
    assert allowed("egress") == documented()


def test_only_executors_may_leave_for_the_internet() -> None:
    leaving = {
        policy["metadata"]["name"]
        for policy in objects("overlays/prod", "NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    }
    assert leaving == {
        each["metadata"]["name"]
        for each in objects("overlays/prod", "Deployment")
        if "executor" in each["metadata"]["name"]
    }


def test_only_executors_hold_a_provider_s_key() -> None:
    holding = {
        service(each["metadata"]["name"])
        for each in objects("overlays/prod", "Deployment")
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName") == "tiermesh-provider"
    }
    assert holding == {"executor"}


def test_only_the_gateway_can_sign_for_people() -> None:
    holding = {
        each["metadata"]["name"]
        for each in objects("overlays/prod", "Deployment")
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName") == "tiermesh-principal-private"
    }
    assert holding == {"gateway"}


def test_everything_else_is_denied() -> None:
    (policy,) = [
        each for each in objects("overlays/prod", "NetworkPolicy") if each["metadata"]["name"] == "default-deny"
    ]
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_service_is_reached_at_the_port_that_it_listens_on() -> None:
    ports = {
        service(each["metadata"]["name"]): {port["containerPort"] for port in container(each)["ports"]}
        for each in objects("overlays/prod", "Deployment")
    }
    for policy in objects("overlays/prod", "NetworkPolicy"):
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        for rule in policy["spec"].get("ingress", []):
            assert {port["port"] for port in rule["ports"]} <= ports[service(own)]


def test_the_traces_show_no_call_that_is_not_documented(suite: Any, collector: Any) -> None:
    for question in ("Who applied for the most leave this year?", "How many leave days do I have left?"):
        events = suite.ask(question)
        collector.wait_for(events[0]["trace_id"], lambda spans: any(span.name.endswith("/Ask") for _, span in spans))
    by_id = {span.span_id: (name, span) for name, span in collector.spans_seen}
    seen = {
        (by_id[span.parent_span_id][0].removeprefix("tiermesh-"), name.removeprefix("tiermesh-"))
        for name, span in collector.spans_seen
        if span.kind == span.SPAN_KIND_SERVER and span.parent_span_id in by_id
    }
    assert seen
    assert seen <= documented()
