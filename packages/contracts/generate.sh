#!/usr/bin/env bash
# Regenerates src/ from protos/. Generated code refuses a grpcio or protobuf older
# than its generator, so the generator is pinned (constraints.txt) to an older
# release than the one that runs, and pyproject.toml's floors name that release.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
out=packages/contracts/src
rm -rf "$out/tiermesh" "$out/buf"
mapfile -t ours < <(find protos/tiermesh -name '*.proto' | sort)
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -Iprotos \
  --python_out="$out" --mypy_out="quiet:$out" \
  protos/buf/validate/validate.proto "${ours[@]}"
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -Iprotos \
  --grpc_python_out="$out" --mypy_grpc_out="quiet:$out" \
  $(grep -l '^service ' "${ours[@]}")
touch "$out/tiermesh/py.typed" "$out/tiermesh/__init__.py" "$out/buf/py.typed"
