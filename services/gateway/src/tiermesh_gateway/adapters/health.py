"""What is up, as the channels see it: a channel that cannot reach a serving backend says so by itself."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from tiermesh_policy import Health, Tier

_DOWN = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class ChannelHealth:
    """The tiers that are configured and not known to be away, and the aggregator behind the bulk path."""

    def __init__(self, executors: Mapping[Tier, grpc.aio.Channel], aggregator: grpc.aio.Channel) -> None:
        self._executors = executors
        self._aggregator = aggregator

    def now(self) -> Health:
        """The state at this moment; what was never tried counts as up."""
        return Health(
            tiers=frozenset(tier for tier, channel in self._executors.items() if _is_up(channel)),
            aggregate=_is_up(self._aggregator),
        )


def _is_up(channel: grpc.aio.Channel) -> bool:
    return channel.get_state(try_to_connect=True) not in _DOWN
