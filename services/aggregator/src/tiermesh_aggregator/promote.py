"""`python -m tiermesh_aggregator.promote`: keeps a GraphQL document that has proved itself under a name in the pack."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tiermesh_pack.documents import PackError
from tiermesh_pack.pack import load_pack

from tiermesh_aggregator.failures import GraphRefusedError
from tiermesh_aggregator.graph.querying import check


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the document against the pack's whole model and writes it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tiermesh_aggregator.promote", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack, such as packs/hr")
    parser.add_argument("--name", required=True, help="name of the operation, such as my_team_at_a_glance")
    parser.add_argument("document", type=Path, help="file with one GraphQL query")
    options = parser.parse_args(arguments)
    try:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", options.name):
            raise ValueError(f"--name {options.name}: use small letters, digits and underscores, a letter first")
        document = options.document.read_text(encoding="utf-8")
        check(options.name, document, load_pack(options.pack).semantic)
        folder = options.pack / "operations"
        folder.mkdir(exist_ok=True)
        (folder / f"{options.name}.graphql").write_text(document, encoding="utf-8")
    except (PackError, GraphRefusedError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder}/{options.name}.graphql: kept; serve the pack anew to use it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
