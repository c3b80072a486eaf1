#!/usr/bin/env bash
# package-deb.sh [--version VERSION] [--out DIR] [amd64] [arm64]: builds kestrel-agent_<version>_<arch>.deb, for both unless told otherwise.
#
# Needs dpkg-deb (apt install dpkg) and the npm registry; no compiler, no emulator, no root rights. The package brings its own Node and asks
# for nothing: apt install ./kestrel-agent_….deb
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
version=$(node -p 'require(process.argv[1]).version' "$source/agent/package.json")
out=$source/out
archs=()
while [ $# -gt 0 ]; do
    case $1 in
    --version) version=$2; shift ;;
    --out) out=$2; shift ;;
    amd64 | arm64) archs+=("$1") ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
[ ${#archs[@]} -gt 0 ] || archs=(amd64 arm64)
command -v dpkg-deb >/dev/null || { echo 'package-deb.sh: there is no dpkg-deb: apt install dpkg' >&2; exit 1; }
mkdir -p "$out"
export KESTREL_CACHE=${KESTREL_CACHE:-$out/cache}
for arch in "${archs[@]}"; do
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    chmod 755 "$root"
    "$here/stage.sh" agent "$root" "$arch"
    mkdir -m 755 "$root/DEBIAN"
    installed=$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
    sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@INSTALLED@/$installed/" "$here/debian/control" >"$root/DEBIAN/control"
    echo /etc/kestrel/agent.yaml >"$root/DEBIAN/conffiles"
    for script in postinst prerm postrm; do install -m 755 "$here/debian/$script" "$root/DEBIAN/"; done
    (cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    chmod -R u=rwX,go=rX "$root"
    deb=$out/kestrel-agent_${version}_$arch.deb
    # xz, which dpkg of every release in use can read. Smaller, and much slower to build: KESTREL_XZ=6.
    dpkg-deb --root-owner-group -Zxz -z"${KESTREL_XZ:-1}" --build "$root" "$deb" >/dev/null
    echo "$deb: $(du -m --apparent-size "$deb" | cut -f1) MB, installed $((installed / 1024)) MB"
    rm -rf "$root"
done
