"""Tenants' files."""

from __future__ import annotations

import json
import os
import time
from dataclasses import fields
from pathlib import Path

import pytest
from tiermesh_gateway import tenant_schema
from tiermesh_gateway.errors import UnknownTenant
from tiermesh_gateway.tenants import LiveThreshold, TenantBook, TenantsUnusableError
from tiermesh_policy import TenantPolicy, Vocabulary

GOOD = "tenant: acme\npack: hr@1.0.0\npolicy:\n  thresholds: {tier1: 0.7}\n"


def vocabularies(pack: str) -> Vocabulary:
    if pack != "hr@1.0.0":
        raise LookupError(f"{pack} is not there")
    return Vocabulary()


def write(path: Path, content: str) -> None:
    path.write_text(content)
    # Two writes within a tick of the file system's clock must still differ.
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "acme.yaml", GOOD)
    return tmp_path


def test_a_file_makes_a_tenant(folder: Path) -> None:
    tenant = TenantBook(folder, vocabularies).get("acme")
    assert (tenant.pack, tenant.time_zone, tenant.policy.thresholds.tier1) == ("hr@1.0.0", "UTC", 0.7)


def test_an_unknown_tenant_is_not_there(folder: Path) -> None:
    with pytest.raises(UnknownTenant):
        TenantBook(folder, vocabularies).get("globex")


def test_every_problem_of_every_file_is_listed(folder: Path) -> None:
    write(folder / "a.yaml", "tenant: A!\npack: hr\ntime_zone: Mars\npolicy: {thresholds: {tier1: 2}, nope: 1}\n")
    write(folder / "b.yaml", "tenant: b\npack: hr@9.9.9\n")
    write(folder / "c.yaml", "{broken")
    write(folder / "d.yaml", "- a list\n")
    write(folder / "g.yaml", "tenant: 2024-13-45\n")
    write(folder / "h.yaml", "[" * 3000)
    write(folder / "e.yaml", GOOD)
    write(folder / "f.yaml", "tenant: f\npack: hr@1.0.0\npolicy: {thresholds: {tier1: 0.5, tier3: 0.8}}\n")
    with pytest.raises(TenantsUnusableError) as caught:
        TenantBook(folder, vocabularies)
    message = str(caught.value)
    for words in (
        "a.yaml: tenant",
        "a.yaml: pack",
        "a.yaml: time_zone",
        "a.yaml: policy.thresholds.tier1",
        "a.yaml: policy.nope",
        "b.yaml: pack: hr@9.9.9 is not there",
        "c.yaml: (file): not valid YAML",
        "d.yaml: (file): must be a mapping",
        "g.yaml: (file): not valid YAML: month must be in 1..12",
        "h.yaml: (file): not valid YAML",
        "e.yaml: tenant: 'acme' is in another file",
        "f.yaml: policy.thresholds",
    ):
        assert words in message


def test_a_folder_without_tenants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TenantsUnusableError, match="no tenant file"):
        TenantBook(tmp_path, vocabularies)


def test_a_change_is_taken_without_a_restart(folder: Path) -> None:
    book = TenantBook(folder, vocabularies)
    write(folder / "acme.yaml", GOOD.replace("0.7", "0.85"))
    write(folder / "globex.yaml", GOOD.replace("acme", "globex"))
    book.refresh()
    assert book.get("acme").policy.thresholds.tier1 == 0.85
    assert book.get("globex").name == "globex"
    (folder / "globex.yaml").unlink()
    book.refresh()
    with pytest.raises(UnknownTenant):
        book.get("globex")


def test_a_bad_change_keeps_the_last_good_policy(folder: Path) -> None:
    book = TenantBook(folder, vocabularies)
    write(folder / "acme.yaml", GOOD.replace("0.7", "7"))
    book.refresh()
    assert book.get("acme").policy.thresholds.tier1 == 0.7
    write(folder / "acme.yaml", GOOD.replace("0.7", "0.75"))
    book.refresh()
    assert book.get("acme").policy.thresholds.tier1 == 0.75


def test_a_threshold_that_is_set_at_run_time_holds_until_it_is_taken_back(folder: Path) -> None:
    book = TenantBook(folder, vocabularies)
    book.set_threshold("acme", LiveThreshold(0.82, "insights-3"))
    thresholds = book.get("acme").policy.thresholds
    assert (thresholds.tier1, thresholds.version) == (0.82, "insights-3")
    # A file that changes otherwise does not undo it.
    write(folder / "acme.yaml", GOOD + "  failure_policy: cost_first\n")
    book.refresh()
    assert book.get("acme").policy.thresholds.tier1 == 0.82
    assert book.get("acme").policy.failure_policy == "cost_first"
    book.set_threshold("acme", None)
    assert book.get("acme").policy.thresholds.tier1 == 0.7


def test_a_threshold_outside_of_the_file_s_bounds_changes_nothing(folder: Path) -> None:
    write(folder / "acme.yaml", GOOD.replace("tier1: 0.7", "tier1: 0.7, lowest: 0.6, highest: 0.8, tier3: 0.65"))
    book = TenantBook(folder, vocabularies)
    book.set_threshold("acme", LiveThreshold(0.75, "good"))
    for value in (0.59, 0.81, 0.62, float("nan")):
        book.set_threshold("acme", LiveThreshold(value, "bad"))
        assert book.get("acme").policy.thresholds.version == "good"


def test_tightened_bounds_bring_the_file_s_own_threshold_back(folder: Path) -> None:
    book = TenantBook(folder, vocabularies)
    book.set_threshold("acme", LiveThreshold(0.9, "insights-1"))
    write(folder / "acme.yaml", GOOD.replace("tier1: 0.7", "tier1: 0.7, highest: 0.8"))
    book.refresh()
    assert book.get("acme").policy.thresholds.tier1 == 0.7


def test_a_threshold_of_a_tenant_that_has_no_file_yet_waits_for_it(folder: Path) -> None:
    book = TenantBook(folder, vocabularies)
    book.set_threshold("globex", LiveThreshold(0.9, "insights-1"))
    with pytest.raises(UnknownTenant):
        book.get("globex")
    write(folder / "globex.yaml", GOOD.replace("acme", "globex"))
    book.refresh()
    assert book.get("globex").policy.thresholds.tier1 == 0.9


def test_the_schema_for_editors_names_every_setting() -> None:
    policy = json.loads(tenant_schema.text())["properties"]["policy"]
    assert set(policy["properties"]) == {each.name for each in fields(TenantPolicy)}
