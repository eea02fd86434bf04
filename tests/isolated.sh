#!/usr/bin/env bash
# Installs and tests each service in an environment that holds only it, what it declares, and the test tools:
# the net that catches an import which works here only because everything is installed together.
# usage: tests/isolated.sh [service …]
set -euo pipefail
cd "$(dirname "$0")/.."
services=("$@")
[ ${#services[@]} -gt 0 ] || services=(gateway classifier executor aggregator suggester insights console)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

declared() { # the packages of ours that a folder declares, and theirs
  grep -oE '"tiermesh-[a-z]+' "$1/pyproject.toml" | sed 's/"tiermesh-//' | sort -u
}

for service in "${services[@]}"; do
  folder=services/$service
  echo "== $service: only $(declared "$folder" | paste -sd' ') =="
  python3 -m venv "$work/$service"
  python=$work/$service/bin/python
  "$python" -m pip install -q -c constraints.txt pip hatchling editables
  packages=()
  for name in $(declared "$folder"); do [ "$name" = "$service" ] || packages+=(-e "./packages/$name"); done
  "$python" -m pip install -q -c constraints.txt --no-build-isolation "${packages[@]}" -e "./$folder[test]"
  "$python" -m pytest -q -p no:cacheprovider "$folder"
done
echo "every service stands alone"
