"""Tokens of pills: a pill's classification, signed, good for one person, one place in one conversation, one day.

A token that does not fit what is asked is no error: its text is classified like any other.
"""

from __future__ import annotations

import json
from hashlib import blake2b, sha256
from typing import Any
from zoneinfo import ZoneInfo

import jwt
import structlog
from google.protobuf.message import DecodeError
from tiermesh.common.v1 import scores_pb2

from tiermesh_gateway.adapters.translate import policy_scores
from tiermesh_gateway.ports import Clicked
from tiermesh_gateway.question import Scored, Turn

MOST_CHARACTERS = 8192
"""What the contract lets a client send back."""

_ALGORITHM = "HS256"
# Labels that an axis keeps; the decision looks at the winner and its closest rivals.
_MOST_LABELS = 6


class PillTokens:
    """Signs and reads. Only the gateway does either, so that no key of it leaves the gateway."""

    def __init__(self, private_key: bytes) -> None:
        """All replicas of a gateway share `private_key`, and with it what they sign."""
        self._key = sha256(b"tiermesh pills" + private_key).digest()
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])

    def issue(self, turn: Turn, pill_id: str, text: str, scores: scores_pb2.Scores) -> str:
        """The token for a pill that is shown with `turn`; empty when it would be too long to send back."""
        claims = _claims(turn, turn.number + 1, text) | {"pill": pill_id}
        payload = json.dumps(claims, sort_keys=True).encode() + b"\n" + _trimmed(scores).SerializeToString()
        token = self._jws.encode(payload, self._key, algorithm=_ALGORITHM)
        return token if len(token) <= MOST_CHARACTERS else ""

    def clicked(self, turn: Turn) -> Clicked | None:
        """What the question's token says; None when it has none, or one that is not good for this turn."""
        token = turn.question.pill_token
        if not token:
            return None
        try:
            claims, scores = self._read(token)
        except (jwt.PyJWTError, DecodeError, ValueError):
            _note_refused("not_ours")
            return None
        pill_id = claims.pop("pill", "")
        expected = _claims(turn, turn.number, turn.question.text)
        for name, value in expected.items():
            if claims.get(name) != value:
                _note_refused(f"other_{name}")
                return None
        return Clicked(
            pill_id=str(pill_id),
            scored=Scored(
                scores=policy_scores(scores, turn.question.tenant.vocabulary),
                raw=scores,
                slots=scores.scope.slots.SerializeToString(),
                vocabulary_version=scores.vocabulary_version,
            ),
        )

    def _read(self, token: str) -> tuple[dict[str, Any], scores_pb2.Scores]:
        payload = self._jws.decode(token, self._key, algorithms=[_ALGORITHM])
        head, _, body = payload.partition(b"\n")
        return json.loads(head), scores_pb2.Scores.FromString(body)


def _claims(turn: Turn, number: int, text: str) -> dict[str, Any]:
    """What a token is bound to. Its scores were made for these and are wrong for anything else."""
    question = turn.question
    return {
        "tenant": question.caller.tenant,
        "person": question.caller.subject,
        "conversation": turn.conversation_id,
        # A follow-up means something else after another turn.
        "turn": number,
        "text": blake2b(text.encode(), digest_size=16).hexdigest(),
        "pack": question.tenant.pack,
        # "This month" was resolved on this day.
        "day": question.asked_at.astimezone(ZoneInfo(question.time_zone)).date().isoformat(),
    }


def _note_refused(why: str) -> None:
    structlog.get_logger().info("pill_token_refused", why=why)


def _trimmed(scores: scores_pb2.Scores) -> scores_pb2.Scores:
    """The scores without their evidence, marked as carried by a pill."""
    kept = scores_pb2.Scores()
    kept.CopyFrom(scores)
    difficulty, scope, conversation = kept.difficulty, kept.scope, kept.conversation
    for axis in (
        kept.intent,
        kept.surround,
        scope.cardinality,
        scope.temporal,
        scope.aggregation,
        conversation.position,
        conversation.needs_context,
        difficulty.ambiguous,
        difficulty.multi_step,
        difficulty.stakes,
    ):
        if not axis.label:
            continue
        del axis.evidence[:], axis.distribution[_MOST_LABELS:]
        axis.stage = scores_pb2.STAGE_PILL
    del kept.confidence.evidence[:]
    return kept
