#!/usr/bin/env bash
# npm run test:vm [-- --tools DIR] [--work DIR] [--only PART] [--from STEP]: the package in a clean Debian system, as a drone would have it.
#
# Boots Debian under systemd in user-mode Linux, with the virtual cameras vivid and v4l2loopback, and there: installs the .deb,
# flies, kills, hangs, unplugs and stalls, reboots, cuts the power, upgrades, removes, and does the like with install.sh (in-vm.sh). Then runs what the arm64 package
# holds under qemu-user, and the package in a whole arm64 Debian, interpreted: installs, flies, kills, reboots, cuts the power, upgrades, removes.
# Takes two hours the first time. Not part of CI.
#
# --tools  folder with build-image.sh, build-uml.sh, run-uml.sh and arm64-smoke.sh (default: ../shared/vm beside the repository)
# --work   where the image, the kernel and the packages go (default: out/vm; 2 GB)
# --only   amd64, arm64, arm64-programs (qemu-user) or arm64-system (the VM)
# --from   goes on with that step of in-vm.sh, in a new VM, with the packages of the run before; --pack makes them anew
# In the environment, PATIENCE=2: on a machine that is busy otherwise everything may take twice as long; STEPS='stalled remove': these steps only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
tools=$source/../shared/vm work=$source/out/vm only= from= pack=
while [ $# -gt 0 ]; do
    case $1 in
    --tools) tools=$2; shift ;;
    --work) work=$2; shift ;;
    --only) only=$2; shift ;;
    --from) from=$2; shift ;;
    --pack) pack=1 ;;
    *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done
if [ ! -x "$tools/run-uml.sh" ]; then
    cat >&2 <<E2
test:vm: there are no VM tools in $tools.
They are scripts that build and boot a small Debian system (debootstrap, user-mode Linux, qemu-user) and are no part of this repository.
Get them from whoever gave you the test data, put them beside the clone as ../shared/vm, or name their folder with --tools DIR.
E2
    exit 2
fi
tools=$(cd "$tools" && pwd)
mkdir -p "$work/amd64" && work=$(cd "$work" && pwd)
need() { command -v "$1" >/dev/null || { echo "test:vm: there is no $1: apt-get install $2" >&2; exit 1; }; }
need dpkg-deb dpkg

(cd "$source" && npx tsc -b)
export KESTREL_CACHE=$work/cache npm_config_cache=$work/npm-cache

# The same files under a new number: next_version DEB OUT
next_version() {
    local tree
    tree=$(mktemp -d)
    dpkg-deb -R "$1" "$tree"
    sed -i 's/^Version: .*/Version: 0.0.2/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$2" >/dev/null
    rm -rf "$tree"
}

# What the VM gets: two versions of the package, and for install.sh a clone with what it will ask the registry for.
amd64_job() {
    local job=$1
    rm -rf "$job" && mkdir -p "$job"
    "$source/systemd/package-deb.sh" --version 0.0.1 --out "$job" amd64
    next_version "$job/kestrel-agent_0.0.1_amd64.deb" "$job/kestrel-agent_0.0.2_amd64.deb"
    # For install.sh, which fetches packages: a clone that is built, and what it will ask the registry for.
    need npm npm
    mkdir -p "$job/clone" "$job/tools"
    tar -C "$source" --exclude=node_modules --exclude=./.git --exclude=./out --exclude='*.map' -cf - . | tar -C "$job/clone" -xf - --no-same-owner
    local unused
    unused=$(mktemp -d)
    "$source/systemd/stage.sh" ground "$unused" amd64
    rm -rf "$unused"
    cp -r "$npm_config_cache" "$job/npm-cache"
    cp -r "$KESTREL_CACHE" "$job/cache"
    cp -L "$(command -v node)" "$job/tools/node"
    cp -rL "$(npm root -g)/npm" "$job/tools/lib-npm"
    printf '#!/bin/sh\nexec /host/tools/node /host/tools/lib-npm/bin/npm-cli.js "$@"\n' >"$job/tools/npm"
    chmod 755 "$job/tools/npm"
    npm config get registry >"$job/registry"
}

amd64() {
    need debootstrap debootstrap
    need mke2fs e2fsprogs
    [ -f "$work/amd64/rootfs.img" ] || VM_OUT=$work/amd64 VM_SIZE=3072M "$tools/build-image.sh"
    if [ ! -x "$work/amd64/uml-linux" ]; then
        for tool in gcc make flex bison bc xz; do need $tool "gcc make flex bison bc libc6-dev xz-utils"; done
        VM_OUT=$work/amd64 "$tools/build-uml.sh"
    fi
    # Each page of a program in user-mode Linux may be a mapping here, and npm has more pages than the usual 65530: it would be killed in install.sh.
    if [ "$(cat /proc/sys/vm/max_map_count)" -lt 1000000 ]; then
        echo 'test:vm: user-mode Linux needs more mappings than are allowed here: sysctl -w vm.max_map_count=1048576' >&2
        exit 1
    fi
    local job=$work/job
    if [ -z "$from" ] || [ -n "$pack" ]; then
        amd64_job "$job"
    elif [ ! -f "$job/registry" ]; then
        echo "test:vm: --from: there are no packages of a run before in $job" >&2
        exit 2
    fi
    echo "${from:-install}" >"$job/step"
    rm -f "$job"/{steps,journal}.log
    cp "$here/in-vm.sh" "$job/"
    echo "PATIENCE=${PATIENCE:-1} STEPS='${STEPS:-}' exec bash /host/in-vm.sh" >"$job/job.sh"
    local result=0
    VM_OUT=$work/amd64 VM_MEM=2048M VM_TIMEOUT=$((2400 * ${PATIENCE:-1})) "$tools/run-uml.sh" "$job" || result=$?
    # The VM boots several times, and each time its output begins anew: the job keeps its own.
    cat "$job/steps.log" 2>/dev/null || true
    [ $result = 0 ] || { echo "--- last output in the VM"; tail -40 "$job/out.log"; return 1; }
}

# What the package holds, under qemu-user.
arm64_programs() {
    need qemu-aarch64-static qemu-user-static
    need mmdebstrap mmdebstrap
    # The tools bring the arm64 C libraries; an empty program is all that they need to do so.
    mkdir -p "$work/empty"
    echo '{"name":"empty","version":"1.0.0"}' >"$work/empty/package.json"
    echo '{"name":"empty","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"empty","version":"1.0.0"}}}' >"$work/empty/package-lock.json"
    echo 'console.log(process.arch)' >"$work/empty/hello.cjs"
    ARM64_WORK=$work/arm64 "$tools/arm64-smoke.sh" "$work/empty" hello.cjs
    rm -rf "$work/arm64-root" && dpkg-deb -x "$work/kestrel-agent_0.0.1_arm64.deb" "$work/arm64-root"
    local root=$work/arm64-root
    cat >"$work/arm64.yaml" <<Y
drone: arm64
student: $root/usr/share/kestrel/models/student-aerial8-256x144.onnx
stateDir: $work/arm64-state
camera: { source: $work/pictures, fps: 1, pace: as-fast-as-possible }
threads: 1
Y
    rm -rf "$work/arm64-state" "$work/pictures" && mkdir "$work/pictures"
    for second in 10 20 30; do
        node "$source/simulator/bin/kestrel-sim.js" frame valley-to-town --at $second --out "$work/pictures/$second.png" >/dev/null
    done
    ORT_DISABLE_TELEMETRY=1 timeout 900 qemu-aarch64-static -L "$work/arm64/root" "$root/usr/lib/kestrel-agent/bin/node" \
        "$root/usr/lib/kestrel-agent/agent/bin/kestrel-agent.js" run --config "$work/arm64.yaml" | tee "$work/arm64.log"
    grep -q '3 frames labelled' "$work/arm64.log" && ls "$work"/arm64-state/outbox/*.segment >/dev/null
    echo "ok    arm64: student and encoder of the package run (qemu-user)"
}

# The package under systemd in a whole arm64 Debian. Every instruction is interpreted, so all of it takes long: PATIENCE, and a longer watchdog.
arm64_system() {
    need qemu-system-aarch64 qemu-system-arm
    need debootstrap debootstrap
    export VM_ARCH=arm64 VM_OUT=$work/arm64-vm VM_MEM=2048M VM_SSH=${VM_SSH:-2264}
    local patience=$((15 * ${PATIENCE:-1}))
    local watchdog=$((8 * patience))
    if [ ! -f "$VM_OUT/rootfs.img" ]; then
        if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
            echo 'test:vm: to build the arm64 system, arm64 programs must run here: see binfmt_misc in the README of the VM tools' >&2
            return 1
        fi
        VM_SIZE=3072M "$tools/build-image.sh"
    fi
    local job=$work/arm64-job
    rm -rf "$job" && mkdir "$job"
    ln "$work/kestrel-agent_0.0.1_arm64.deb" "$job/"
    next_version "$work/kestrel-agent_0.0.1_arm64.deb" "$job/kestrel-agent_0.0.2_arm64.deb"
    cp "$here/in-vm.sh" "$job/"
    arm64_unit >"$job/kestrel-test.service"
    "$tools/run-vm.sh" payload "$job"
    # The tools end the VM when it reboots; here it goes on, with its disk.
    VM_ARGS='-action reboot=reset' "$tools/run-vm.sh" start
    trap '"$tools/run-vm.sh" stop' EXIT
    "$tools/run-vm.sh" wait 1800
    "$tools/run-vm.sh" ssh "set -e
        systemctl start opt-payload.mount
        mkdir -p /host /etc/systemd/system/kestrel-agent.service.d
        printf '[Service]\nTimeoutStartSec=$((120 * patience))\nWatchdogSec=$watchdog\n' >/etc/systemd/system/kestrel-agent.service.d/emulated.conf
        ln -s /opt/payload/*.deb /host/
        cp /opt/payload/in-vm.sh /host/
        cp /opt/payload/kestrel-test.service /etc/systemd/system/
        echo ${from:-install} >/host/step
        systemctl mask --now serial-getty@ttyAMA0
        systemctl enable kestrel-test
        sync
        systemctl --no-block start kestrel-test"
    local end=$((SECONDS + 600 * patience))
    until grep -aqE '^(FAILS |all of it)' "$VM_OUT/console.log"; do
        [ $SECONDS -lt $end ] && kill -0 "$(cat "$VM_OUT/qemu.pid")" || break
        sleep 5
    done
    grep -aE '^(ok|FAILS|      |all of it)' "$VM_OUT/console.log"
    grep -aq '^all of it' "$VM_OUT/console.log" || { echo "--- last output in the VM"; tail -60 "$VM_OUT/console.log"; return 1; }
    "$tools/run-vm.sh" stop
    trap - EXIT
}

# Goes on after each boot, which is so slow that systemd gives up on the payload's disk before it is there. What it prints comes out at the
# serial console: a line costs less there than a connection by ssh.
arm64_unit() {
    cat <<U
[Unit]
Description=The steps of in-vm.sh
[Service]
Type=exec
Environment=PATIENCE=$patience WATCHDOG=$watchdog "STEPS=${STEPS:-install fly killed hung student mistake unplugged stalled reboot rebooted power recovered upgrade remove}"
ExecStart=/bin/sh -c 'until systemctl start opt-payload.mount; do sleep 1; done; exec bash /host/in-vm.sh >/dev/console 2>&1'
[Install]
WantedBy=multi-user.target
U
}

arm64_package() {
    [ -n "$from" ] && [ -z "$pack" ] || "$source/systemd/package-deb.sh" --version 0.0.1 --out "$work" arm64
}

arm64() {
    arm64_package
    arm64_programs
    arm64_system
}

case ${only:-all} in
all)
    amd64
    arm64
    ;;
amd64 | arm64) "$only" ;;
arm64-programs | arm64-system)
    arm64_package
    "${only/-/_}"
    ;;
*)
    echo "test:vm: --only $only: there are amd64, arm64, arm64-programs and arm64-system" >&2
    exit 2
    ;;
esac
