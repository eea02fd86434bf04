#!/usr/bin/env bash
# Builds each service's image with buildah and looks at it: user, size, no secret, no compiler; then starts it on settings that it must refuse.
# Where no registry can be reached (TIERMESH_BASE=debian) the base image is made from Debian's own packages.
# usage: tests/images.sh [service …]        needs root, buildah; debootstrap too for TIERMESH_BASE=debian
set -euo pipefail
cd "$(dirname "$0")/.."
services=("$@")
[ ${#services[@]} -gt 0 ] || services=(gateway classifier executor aggregator suggester insights console)
command -v buildah >/dev/null || { echo "buildah is not installed (Debian: apt-get install buildah)"; exit 2; }
work=${TIERMESH_IMAGES:-$(mktemp -d)}
mkdir -p "$work"
builder=(buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs)
base=docker.io/library/python:3.11-slim
authorities=/etc/ssl/certs/ca-certificates.crt

made() { "${builder[@]}" inspect --type image "$1" >/dev/null 2>&1; }

if [ "${TIERMESH_BASE:-registry}" = debian ] && ! made "$base"; then
  echo "== base image from Debian's packages =="
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE "https?://[^ ]+/debian/?( |$)" | head -1 | tr -d " " || true)
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$work/root" "${mirror:-http://deb.debian.org/debian}" >"$work/debootstrap.log"
  ln -sf python3 "$work/root/usr/bin/python"
  rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"
  tar -C "$work/root" -cf "$work/rootfs.tar" . && rm -rf "$work/root"
  printf 'FROM scratch\nADD rootfs.tar /\nCMD ["/usr/bin/python"]\n' >"$work/Containerfile"
  "${builder[@]}" bud --isolation chroot -q -t "$base" -f "$work/Containerfile" "$work" >/dev/null
  rm "$work/rootfs.tar"
fi

for service in "${services[@]}"; do
  image=localhost/tiermesh/$service:test
  echo "== $service =="
  mounts=()
  [ -f "$authorities" ] && mounts=(-v "$authorities:$authorities:ro")
  "${builder[@]}" bud --isolation chroot -q --pull=false ${PIP_CERT:+--build-arg PIP_CERT="$PIP_CERT"} "${mounts[@]}" \
    -t "$image" -f "services/$service/Dockerfile" . >"$work/$service.log" 2>&1 || { tail -20 "$work/$service.log"; exit 1; }
  container=$("${builder[@]}" from "$image")
  root=$("${builder[@]}" mount "$container")
  user=$("${builder[@]}" inspect --format '{{.OCIv1.Config.User}}' "$image")
  [ "$user" = 65532:65532 ] || { echo "runs as '$user'"; exit 1; }
  found=$(find "$root" -xdev \( -name '*.pem' -o -name '*.key' \) -not -path '*/site-packages/*' -not -path '*/ca-certificates/*' -not -path '*/ssl/*' -path '*tiermesh*' | head -3)
  [ -z "$found" ] || { echo "holds keys: $found"; exit 1; }
  [ ! -e "$root/usr/bin/gcc" ] || { echo "holds a compiler"; exit 1; }
  [ -z "$(find "$root" -xdev -path '*tiermesh_simulator*' | head -1)" ] || { echo "holds the simulator"; exit 1; }
  echo "   $(du -sm "$root" | cut -f1) MB, user $user"
  # It must come as far as its own settings, as the user that it is meant for, and say what is wrong with them.
  variable=TIERMESH_$(tr '[:lower:]' '[:upper:]' <<<"$service")_WORKERS
  said=$("${builder[@]}" run --isolation chroot --env "$variable=none" "$container" -- sh -c 'exec "$@"' _ /venv/bin/python -m "tiermesh_$service" 2>&1 || true)
  grep -q "$variable" <<<"$said" || { echo "does not start: $said"; exit 1; }
  echo "   starts, and says what is wrong with a setting"
  "${builder[@]}" umount "$container" >/dev/null && "${builder[@]}" rm "$container" >/dev/null
done
echo "every image builds and starts"
