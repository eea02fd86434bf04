"""The classifier in force, and how a new artefact takes its place while calls go on.

A call takes `Live.current` once and keeps it to its end, so a swap drops and mixes nothing. What cannot be used leaves
the last good one in force.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from tiermesh_runtime.reloading import stamp_of

from tiermesh_classifier.classifier import Scorer

_MANIFEST = "manifest.json"


@dataclass
class Live:
    """What serves now; replaced as a whole, on the event loop only."""

    current: Scorer
    # Scores a share of the turns beside it, for the decision log alone.
    shadow: Scorer | None = None

    def put_current(self, classifier: Scorer) -> None:
        """From the next call on this one serves."""
        self.current = classifier

    def put_shadow(self, classifier: Scorer) -> None:
        """From the next call on this one runs in the shadow."""
        self.shadow = classifier


class Reloader:
    """Watches the manifest of one artefact folder. Training writes it last, so a new one means that all is there."""

    def __init__(
        self,
        folder: Path,
        load: Callable[[Path], Scorer],
        observe: Callable[[bool], None],
    ) -> None:
        """Make it before the first load: a change in between is then seen. `observe` gets whether a swap went well."""
        self._folder = folder
        self._load = load
        self._observe = observe
        self._seen = stamp_of(folder / _MANIFEST)

    async def watch(self, seconds: float, put: Callable[[Scorer], None]) -> None:
        """Looks every so often, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self.check(put)

    async def check(self, put: Callable[[Scorer], None]) -> bool:
        """Swaps when there is a new manifest with a good artefact; a refused one is tried again when it changes."""
        stamp = await asyncio.to_thread(stamp_of, self._folder / _MANIFEST)
        if stamp == self._seen:
            return False
        self._seen = stamp
        log = structlog.get_logger().bind(artefact=str(self._folder))
        try:
            classifier = await asyncio.to_thread(self._load, self._folder)
        except Exception as error:  # whatever is wrong with new files, the last good artefact serves on
            log.warning("artefact_refused", problem=str(error), kind=type(error).__name__)
            self._observe(False)
            return False
        put(classifier)
        log.info("artefact_swapped", version=classifier.version)
        self._observe(True)
        return True
