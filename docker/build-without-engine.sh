#!/usr/bin/env bash
# Build the image without a container engine and try it: buildah in a chroot, on a base made by
# debootstrap. Needs root, buildah, debootstrap and 30 GB of disk; no GPU.
#
#   docker/build-without-engine.sh [further options of buildah bud]
#
# TASD_BUILD_DIR is the folder of the build, TASD_BUILD_SUITE the Debian release of the base and
# TASD_BUILD_MIRROR its mirror. By default that is the mirror from which this system's apt takes
# the release; where apt has none, debootstrap chooses.
#
# If pip needs a mirror, mount the settings of pip and name them:
#   docker/build-without-engine.sh --volume /etc/mirror:/etc/mirror:ro \
#     --build-arg PIP_CONFIG_FILE=/etc/mirror/pip.conf
set -euo pipefail
cd "$(dirname "$0")/.."

work=${TASD_BUILD_DIR:-/var/tmp/tasd-image}
suite=${TASD_BUILD_SUITE:-bookworm}
mirror=${TASD_BUILD_MIRROR:-$(
    apt-get indextargets --format '$(ORIGIN) $(SITE)' \
        'Created-By: Packages' 'Component: main' "Codename: $suite" 2>/dev/null |
        sed -nE 's/^(Debian|Ubuntu) (https?:.*)/\2/p' | sort -u | head -n 1 || true
)}
need_gb=30

mkdir -p "$work/tmp"
free_gb=$(df --output=avail -BG "$work" | tail -1 | tr -dc 0-9)
if ((free_gb < need_gb)); then
    echo "$work has $free_gb GB free and the build needs $need_gb GB;" \
        "set TASD_BUILD_DIR to a folder on a larger disk" >&2
    exit 1
fi

# buildah writes temporary copies of layers to TMPDIR.
export TMPDIR=$work/tmp
store=(buildah --storage-driver vfs --root "$work/store" --runroot "$work/run")

if [[ ! -f $work/base.tar ]]; then
    rm -rf "$work/base"
    debootstrap --variant=minbase "$suite" "$work/base" ${mirror:+"$mirror"}
    tar -C "$work/base" --numeric-owner -cf "$work/base.tar.part" .
    mv "$work/base.tar.part" "$work/base.tar"
    rm -rf "$work/base"
fi
if ! "${store[@]}" inspect --type image tasd-base >/dev/null 2>&1; then
    base=$("${store[@]}" from scratch)
    "${store[@]}" add --quiet "$base" "$work/base.tar" /
    "${store[@]}" commit --quiet --rm "$base" tasd-base
fi

"${store[@]}" bud --isolation chroot --layers=false --format docker \
    --build-arg BASE=localhost/tasd-base "$@" -f docker/Dockerfile -t tasd .
"${store[@]}" images

# Try the first commands of a new user, as the user of the image.
container=$("${store[@]}" from --pull-never localhost/tasd)
trap '"${store[@]}" rm "$container" >/dev/null' EXIT
"${store[@]}" run --isolation chroot "$container" -- bash -c 'id; tasd --version; tasd doctor'
"${store[@]}" run --isolation chroot "$container" -- tasd demo --quick --out /workspace/demo
"${store[@]}" run --isolation chroot "$container" -- ls -l /workspace/demo
du -sh "$work/store"
