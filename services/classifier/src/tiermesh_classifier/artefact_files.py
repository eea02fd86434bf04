"""Files of a trained artefact: written as a whole, named by their hashes, refused with the mend. Knows no model."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class ArtefactError(Exception):
    """The artefact cannot be used; the message says why and how to mend it."""


def save_array(folder: Path, name: str, array: np.ndarray, files: dict[str, str]) -> None:
    """Writes one .npy file and notes its hash in `files`."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    save_file(folder, name, content.getvalue(), files)


def save_file(folder: Path, name: str, content: bytes, files: dict[str, str]) -> None:
    """Writes one file and notes its hash in `files`."""
    replace_file(folder / name, content)
    files[name] = digest_of(content)


def replace_file(path: Path, content: bytes) -> None:
    """A new file in the place of the old one: a service that has the old one mapped keeps its bytes."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def read(path: Path, mend: str) -> bytes:
    """The content; `ArtefactError` with the mend when there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({type(error).__name__}); {mend}") from error


def parse(path: Path, raw: bytes, mend: str) -> dict[str, Any]:
    """The JSON object in a file's content."""
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise ArtefactError(f"{path}: is no valid JSON; {mend}") from error
    if not isinstance(document, dict):
        raise ArtefactError(f"{path}: is no manifest; {mend}")
    return document


def as_json(document: Mapping[str, Any]) -> bytes:
    """The same bytes for the same document."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
