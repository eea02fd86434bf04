"""Every RPC under generated messages: no crash, canonical codes with one reason, no word of the inside, bounded memory.

CI gives it half a minute; `make fuzz SECONDS=600` as long as wanted. TIERMESH_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from tiermesh_cli.keys import sign_in_token
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

from tests.fuzzing.calling import SERVED, Fuzzed, fuzz, methods

SECONDS = float(os.environ.get("TIERMESH_FUZZ_SECONDS", "25"))
SEED = int(os.environ.get("TIERMESH_FUZZ_SEED", str(int(time.time()))))
_GROWTH_MB = 200.0
_LEFT_BEHIND_MB = 60.0
_PURPOSES = ("question", "question", "record", "report", "tune", "erase", "judge", "refresh-views")
_ROLES = ("employee", "manager", "hr_admin", "finance", "router_admin")


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_no_message_breaks_any_rpc(own_suite: Any) -> None:
    signer = PrincipalSigner((own_suite.state / "keys" / "principal.pem").read_bytes())
    token = sign_in_token(
        own_suite.state / "keys", tenant="acme", subject="E00014", roles=["employee", "manager"], lifetime_seconds=36000
    )

    def metadata(process: str, chance: random.Random) -> tuple[tuple[str, str], ...]:
        if process == "gateway":
            return (("authorization", f"Bearer {token}"),)
        purpose = chance.choice(_PURPOSES)
        principal = signer.mint(
            tenant="*" if purpose == "record" else "acme",
            subject="E00014",
            roles=chance.sample(_ROLES, chance.randrange(len(_ROLES) + 1)),
            audience=(process.partition("-")[0],),
            purpose=purpose,
            pack_version="hr@1.0.0",
            request_id="fuzz",
        )
        return ((METADATA_KEY, principal),)

    fuzzed, halves = Fuzzed(), []
    for half in range(2):
        before = {name: memory_mb(own_suite.pids[name]) for name in SERVED}
        fuzzed.add(asyncio.run(fuzz(own_suite.addresses, metadata, SECONDS / 2, SEED + half)))
        # Fails for one that died.
        halves.append({name: memory_mb(own_suite.pids[name]) - before[name] for name in SERVED})

    total = sum(fuzzed.calls.values())
    print(f"\nseed {SEED}: {total} calls of {len(fuzzed.calls)} RPCs in {SECONDS:.0f} s; {dict(fuzzed.codes)}")
    for words, grown in zip(("first", "second"), halves, strict=True):
        print(f"MB grown in the {words} half:", {name: round(megabytes) for name, megabytes in grown.items()})
    kinds = {(each.method, each.what[:60]): each for each in fuzzed.broken}
    assert not kinds, f"{len(fuzzed.broken)} broken; one of each kind:\n" + "\n".join(map(str, kinds.values()))
    everything = {f"/{method.containing_service.full_name}/{method.name}" for _, method in methods()}
    assert set(fuzzed.calls) == everything
    # Were every message refused at the door, nothing behind it would have been tried.
    assert sum(fuzzed.answered.values()) > total * 0.05, dict(fuzzed.answered)
    assert len([name for name in everything if fuzzed.answered[name]]) > len(everything) / 3, dict(fuzzed.answered)
    first, second = halves
    assert max(first.values()) < _GROWTH_MB, first
    # Warm by then: whatever the time, what came and was refused or answered has left nothing behind.
    assert max(second.values()) < _LEFT_BEHIND_MB, second
