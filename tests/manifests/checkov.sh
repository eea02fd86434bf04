#!/usr/bin/env bash
# Runs checkov over every overlay and the platform, as `kubectl kustomize` renders them. Bases alone have neither tag nor namespace: overlays give them both.
# usage: tests/manifests/checkov.sh        needs kubectl; installs checkov into .tiermesh/checkov
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=.tiermesh/checkov
command -v kubectl >/dev/null || { echo "kubectl is not installed: nothing renders the manifests"; exit 2; }
if [ ! -x "$environment/bin/checkov" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q -r tests/manifests/requirements-checkov.txt
fi
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for folder in k8s/overlays/* k8s/*/overlays/* k8s/platform/*; do
  [ -f "$folder/kustomization.yaml" ] || continue
  kubectl kustomize "$folder" >"$rendered/$(tr / - <<<"${folder#k8s/}").yaml"
done
echo "$(ls "$rendered" | wc -l) overlays"
LOG_LEVEL=ERROR "$environment/bin/checkov" --config-file tests/manifests/checkov.yaml -d "$rendered"
echo "no finding"
