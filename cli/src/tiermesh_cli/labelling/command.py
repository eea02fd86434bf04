"""The verb `tiermesh label`: options, channels, progress, the report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tiermesh_pack import Problems
from tiermesh_pack.manifest import load_manifest
from tiermesh_runtime.channels import checked_address, open_channel
from tiermesh_runtime.principal import PrincipalSigner

from tiermesh_cli.commands import PersonOption, StateOption, TenantOption, find_home, say_failed
from tiermesh_cli.home import Home
from tiermesh_cli.labelling.files import LabelFile, Prompt, PromptsNotUsableError, read_prompts
from tiermesh_cli.labelling.run import Labelling, Progressed, Roles
from tiermesh_cli.labelling.tiers import asked
from tiermesh_cli.people import find_person
from tiermesh_cli.running import RunningSuite

_AUDIENCE = ("classifier", "executor", "aggregator")
_MICROS = 1_000_000


def label(
    prompts: Annotated[Path, typer.Option(help="JSON Lines: `prompt` (or `text`), and `answer` where it is known.")],
    out: Annotated[Path, typer.Option(help="JSON Lines of labels; a run goes on after what is there.")],
    limit: Annotated[int, typer.Option(min=0, help="Prompts to label in this run at the most; 0 labels all.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Prompts that are under way at once.")] = 4,
    max_dollars: Annotated[float, typer.Option(min=0, help="Most that this run may cost; 0 is no cap.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report for machines.")] = False,
    weak: Annotated[str, typer.Option(help="host:port of tier 1's executor; the running suite's where left out.")] = "",
    strong: Annotated[str, typer.Option(help="host:port of the strong tier's executor, likewise.")] = "",
    middle: Annotated[str, typer.Option(help="host:port of a tier between; with it the strong one is tier 3.")] = "",
    judge: Annotated[str, typer.Option(help="host:port of the judge's executor; by default the strong one's.")] = "",
    classifier: Annotated[str, typer.Option(help="host:port of the classifier; the running suite's.")] = "",
    key: Annotated[
        Path | None, typer.Option(help="PEM file that signs principals; the development key where left out.")
    ] = None,
    pack: Annotated[Path | None, typer.Option(help="Folder of the pack; the HR pack where left out.")] = None,
    person: PersonOption = "manager",
    tenant: TenantOption = "acme",
    state: StateOption = None,
) -> None:
    """Make outcome data: each prompt is answered by the tiers and judged, without being told which tier answered.

    The rows are what `tiermesh eval tiers`, the training of the least-tier model and `tiermesh calibrate` take.
    Exit code 1 when the tiers could not be asked; what was labelled by then is kept.
    """
    home = find_home(state)
    addresses = _addresses(home, {"weak": weak, "strong": strong, "middle": middle, "judge": judge}, classifier)
    try:
        wanted, labels = read_prompts(prompts), LabelFile(out)
    except PromptsNotUsableError as error:
        say_failed(str(error), 2)
    todo = [each for each in wanted if each.id not in labels.done][: limit or None]
    mint = _minter(home, key, pack or home.pack, person, tenant)
    found = asyncio.run(
        _label(todo, labels, addresses, mint, most_micros=round(max_dollars * _MICROS), at_once=concurrency)
    )
    _show(_report(found, len(wanted), len(wanted) - len(todo), labels), as_json=as_json)
    if found.stopped not in ("", "spend_cap") or (found.failed and not found.written):
        say_failed(found.stopped or found.problems[-1], 1)


def _addresses(home: Home, given: Mapping[str, str], classifier: str) -> Mapping[str, str]:
    """By role; what is not given is the running suite's. Ends the command when a tier has none."""
    running = RunningSuite.read(home.running)
    suite = {} if running is None else running.addresses
    found = {role: address for role, address in given.items() if address}
    found.setdefault("weak", suite.get("executor-tier1", ""))
    found.setdefault("strong", suite.get("executor-tier2", ""))
    if not found["weak"] or not found["strong"]:
        say_failed(f"no suite runs from {home.state}: start one with `make run`, or name --weak and --strong", 2)
    found.setdefault("judge", found["strong"])
    # Tiers that were named belong to another deployment than the suite's classifier.
    found["classifier"] = classifier or ("" if given["weak"] else suite.get("classifier", ""))
    for role, address in found.items():
        try:
            found[role] = checked_address(address) if address else ""
        except ValueError as error:
            say_failed(f"--{role}: {error}", 2)
    return found


def _minter(home: Home, key: Path | None, pack: Path, person: str, tenant: str) -> Callable[[Prompt], Any]:
    """What gives the context and the signed principal of a prompt's calls."""
    file = key or home.keys / "principal.pem"
    try:
        signer = PrincipalSigner(file.read_bytes())
    except (OSError, ValueError) as error:
        say_failed(f"{file}: {error}; name the PEM file with the key that the gateway signs with (--key)", 2)
    problems = Problems(pack)
    manifest = load_manifest(pack.resolve(), problems)
    if manifest is None:
        say_failed(f"--pack: {pack} is no pack: it has no pack.yaml that can be read", 2)
    version = f"{manifest.name}@{manifest.version}"
    who = find_person(home.pack, person)

    def about(prompt: Prompt) -> Any:
        def mint(request_id: str) -> str:
            return signer.mint(
                tenant=tenant,
                subject=who.subject,
                roles=who.roles,
                audience=_AUDIENCE,
                pack_version=version,
                request_id=request_id,
                ttl=900.0,
            )

        return asked(tenant, version, f"label-{prompt.id}-{uuid4().hex[:8]}", mint)

    return about


async def _label(
    todo: Sequence[Prompt],
    labels: LabelFile,
    addresses: Mapping[str, str],
    about: Callable[[Prompt], Any],
    *,
    most_micros: int,
    at_once: int,
) -> Progressed:
    async with AsyncExitStack() as closing:
        channels = {
            address: await closing.enter_async_context(open_channel(address))
            for address in dict.fromkeys(each for each in addresses.values() if each)
        }
        roles = Roles(
            {role: (tier, channels[addresses[role]]) for role, tier in _tiers(addresses).items()},
            channels[addresses["judge"]],
            channels.get(addresses["classifier"]),
        )
        labelling = Labelling(roles, labels, about, most_micros=most_micros, at_once=at_once)
        columns = (
            TextColumn("labelling"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("${task.fields[dollars]:.4f}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("labelling", total=len(todo), dollars=0.0)
            return await labelling.run(
                todo, lambda so_far: progress.update(bar, advance=1, dollars=so_far.spent_micros / _MICROS)
            )


def _tiers(addresses: Mapping[str, str]) -> Mapping[str, int]:
    return {"weak": 1, "middle": 2, "strong": 3} if addresses.get("middle") else {"weak": 1, "strong": 2}


def _report(found: Progressed, prompts: int, skipped: int, labels: LabelFile) -> Mapping[str, Any]:
    rows = labels.rows()
    shares = {
        role: round(sum(bool(row[f"{role}_correct"]) for row in rows) / len(rows), 4)
        for role in ("weak", "middle", "strong")
        if rows and all(f"{role}_correct" in row for row in rows)
    }
    return {
        "prompts": prompts,
        "not_run": skipped,
        "written": found.written,
        "undecided": found.undecided,
        "failed": found.failed,
        "stopped": found.stopped,
        "spent_micros": found.spent_micros,
        "rows": len(rows),
        "right": shares,
        "out": str(labels.path),
        "problems": found.problems[:5],
    }


def _show(report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"{report['written']} labelled, {report['undecided']} undecided, {report['failed']} failed, "
        f"{report['not_run']} of {report['prompts']} not run; ${report['spent_micros'] / _MICROS:.4f}"
    )
    typer.echo(f"{report['out']}: {report['rows']} rows, right: {report['right'] or 'nothing judged yet'}")
    if report["stopped"] == "spend_cap":
        typer.echo("stopped at the spend cap; the same command goes on where this one ended")
    for problem in report["problems"]:
        typer.echo(f"  {problem}", err=True)
