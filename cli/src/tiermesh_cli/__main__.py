"""`python -m tiermesh_cli` is `tiermesh`."""

from tiermesh_cli.app import main

main()
