"""Prints the JSON Schema of a tenant's file, for editors: `python -m tiermesh_gateway.tenant_schema`."""

from __future__ import annotations

import json
import sys

from tiermesh_gateway.tenants import file_schema


def text() -> str:
    """The schema as it is printed."""
    return json.dumps(file_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
