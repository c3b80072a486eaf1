#!/bin/bash
# Inside the VM, as root: what a drone's companion computer goes through, step by step. The VM boots several times, and each time this goes on
# with the step that /host/step names. Called by vm.sh.
# STEPS: not all of them, but these. PATIENCE: how many times as long as on a computer everything may take here. WATCHDOG: that of the service, s.
set -u
unit=kestrel-agent
config=/etc/kestrel/agent.yaml
read -ra steps <<<"${STEPS:-install fly killed hung student mistake unplugged stalled reboot rebooted power recovered upgrade remove clone}"
step=$(cat /host/step)
arch=$(dpkg --print-architecture)

say() { echo "$*" | tee -a /host/steps.log; }
pass() { say "ok    $step: $*"; }
fail() {
    say "FAILS $step: $*"
    systemctl status --no-pager -n 0 $unit
    journalctl -b -u $unit --no-pager -o short-monotonic -n 60 | cut -c1-220
    kestrel-agent status
    exit 1
}
# Waits until a command succeeds: within SECONDS WHAT COMMAND...
within() {
    local limit=$(($1 * ${PATIENCE:-1})) what=$2 began=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - began)) -lt $limit ] || fail "$what: not within $limit s"
        sleep 1
    done
    pass "$what (after $((SECONDS - began)) s)"
}
# The camera gives something else than what lies there now, few pictures and small ones: the VM has one CPU, and not a fast one.
camera() {
    sed -i -e '/^  \(fps\|width\|height\): /d' -e "s#^  source: .*#  source: $1${2:+\\n  fps: $2\\n  width: 640\\n  height: 480}#" $config
    sed -i 's/^drone: .*/drone: vm-drone/' $config
    systemctl --no-block restart $unit
}
show() { systemctl show -P "$1" $unit; }
pid() { show MainPID; }
active() { [ "$(systemctl is-active $unit)" = active ]; }
# What `kestrel-agent status --json` asks, without starting a Node for it.
ask() { echo '{"command":"status"}' | socat -T 30 -,ignoreeof UNIX-CONNECT:/run/kestrel/agent.sock; }
frames() { ask | grep -o '"frames":[0-9]*' | head -1 | cut -d: -f2; }
flies() {
    active || return 1
    local before after
    before=$(frames)
    sleep 2
    after=$(frames)
    [ -n "$before" ] && [ -n "$after" ] && [ "$after" -gt "$before" ]
}
# More than the one picture that a stalled camera may still have.
steady() {
    local before
    before=$(frames)
    sleep $((5 * ${PATIENCE:-1}))
    [ "$(frames)" -gt $((before + 2)) ]
}
said() { journalctl -b -u $unit --no-pager | grep -q "$1"; }
replaced() { active && [ "$(pid)" != "$1" ] && flies; }
waits() { ask | grep -q '"trouble"'; }
trouble() { waits && [ "$(pid)" = "$1" ] && active; }
failed() { [ "$(systemctl is-active $unit)" = failed ]; }
# Stops the threads of the student and no others, as ptrace(2) does, until they are killed: what dies while it is held waits for whoever holds it.
hang_student() {
    rm -f /tmp/held
    /usr/lib/kestrel-agent/bin/node -e '
        const { readdirSync, readFileSync, writeFileSync } = require("node:fs")
        const libc = require("/usr/lib/kestrel-agent/node_modules/koffi").load("libc.so.6")
        const ptrace = libc.func("long ptrace(long request, int pid, long address, long data)")
        const [SEIZE, INTERRUPT] = [0x4206, 0x4207]
        const tasks = `/proc/${process.argv[1]}/task`
        const student = readdirSync(tasks).filter(id => readFileSync(`${tasks}/${id}/comm`, "utf8").trim() === "kestrel-student")
        if (student.length === 0 || !student.every(id => Number(ptrace(SEIZE, Number(id), 0, 0)) === 0)) process.exit(1)
        for (const id of student) ptrace(INTERRUPT, Number(id), 0, 0)
        const dead = id => / [ZX] /.test(readFileSync(`${tasks}/${id}/stat`, "utf8"))
        writeFileSync("/tmp/held", "")
        setInterval(() => dead(student[0]) && process.exit(), 200)' "$1" &
    within 30 "the threads of the student are held" test -e /tmp/held
}
# So that the next boot goes on here; the file itself is made sure of, and nothing else.
next() { echo "$1" >/host/step; sync /host/step /host/steps.log; }

# What has to outlast a reboot, a power cut and an upgrade.
mark() {
    grep -q '^drone: vm-drone' $config || fail "the configuration was lost"
    echo learned >/var/lib/kestrel/keep
    sync /var/lib/kestrel/keep
    sync $config
}
# What the steps before would have left, where the first one is another than the first of all.
prepare() {
    apt-get install -y "/host/kestrel-agent_0.0.1_$arch.deb" </dev/null || fail "apt install"
    camera /dev/video0 5
    within 90 "installed, it flies" flies
}

step_install() {
    kestrel-agent --version 2>/dev/null && fail "the system is not clean"
    apt-get install -y "/host/kestrel-agent_0.0.1_$arch.deb" </dev/null || fail "apt install"
    pass "apt install, $(dpkg-query -W -f '${Installed-Size}' $unit | awk '{print int($1 / 1024)}') MB"
    [ "$(systemctl is-enabled $unit)" = enabled ] || fail "the service is not enabled"
    id kestrel >/dev/null || fail "there is no user kestrel"
    [ "$(stat -c %U:%a /var/lib/kestrel)" = kestrel:750 ] || fail "/var/lib/kestrel: $(stat -c %U:%a /var/lib/kestrel)"
    within 60 "without a camera it starts, waits and says so" waits
    [ "$(systemctl is-active $unit)" = activating ] || fail "it should not be ready without a camera"
    kestrel-agent check >/tmp/check && fail "check finds nothing wrong"
    sed 's/^/      /' /tmp/check >>/host/steps.log
    pass "check exits 1 and says of each missing part how to mend it"
}

step_fly() {
    camera /dev/video0 5
    within 90 "frames of vivid are labelled" flies
    [ "$(ps -o user= -p "$(pid)")" = kestrel ] || fail "it runs as $(ps -o user= -p "$(pid)")"
    kestrel-agent status | tee -a /host/steps.log
    say "      $(show StatusText)"
    say "      $(systemd-analyze security --no-pager $unit | tail -1)"
    kestrel-agent cameras >>/host/steps.log 2>&1
}

step_killed() {
    local old
    old=$(pid)
    kill -KILL "$old"
    within 60 "killed, it comes back" replaced "$old"
}

step_hung() {
    local old
    old=$(pid)
    kill -STOP "$old"
    within 90 "hung, it is replaced" replaced "$old"
    said 'Watchdog timeout' || fail "it was not the watchdog"
    pass "by the watchdog"
}

step_student() {
    local old before
    old=$(pid)
    before=$(show NRestarts)
    hang_student "$old"
    ask | grep -q ok.:true || fail "with only its student hung it should still answer"
    pass "with only the threads of the student hung, the agent still answers"
    within 90 "and is replaced" replaced "$old"
    [ "$(show NRestarts)" = $((before + 1)) ] || fail "restarted $(($(show NRestarts) - before)) times"
}

step_mistake() {
    echo 'brokr: mqtt://mistake' >>$config
    systemctl --no-block restart $unit
    within 60 "a mistake in the configuration: it stops" failed
    local before
    before=$(show NRestarts)
    sleep 15
    failed && [ "$(show NRestarts)" = "$before" ] || fail "it was started again"
    systemctl status --no-pager -n 0 $unit | grep -q 'Status:.*To mend:.*did you mean "broker"' || fail "systemctl status does not say why"
    pass "for good, and systemctl status says why: $(show StatusText)"
    sed -i '/^brokr:/d' $config
    systemctl --no-block restart $unit
    within 90 "mended, it flies" flies
}

step_unplugged() {
    local old
    old=$(pid)
    # vivid comes back as soon as the agent has closed it.
    v4l2-ctl -d /dev/video0 -c disconnect=1
    within 60 "camera gone for a moment: it says so" said 'it was unplugged'
    within 60 "frames come again" flies
    echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
    within 60 "camera unplugged: it says so" trouble "$old"
    sleep $((${WATCHDOG:-20} + 10))
    trouble "$old" || fail "it was restarted while the camera was away"
    pass "and waits longer than the watchdog would, with the same process"
    echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
    within 60 "plugged in again, frames come" flies
    [ "$(pid)" = "$old" ] || fail "another process"
}

# A camera that is there and gives nothing: v4l2loopback whose feeder stops or, where the system has none, vivid that drops every picture.
step_stalled() {
    local camera=vivid feeder= old
    if [ -e /dev/video10 ]; then
        camera=v4l2loopback
        head -c 153600 /dev/urandom >/tmp/picture
        (while cat /tmp/picture; do sleep 0.2; done) |
            v4l2-ctl -d /dev/video10 -x width=320,height=240,pixelformat=YUYV --stream-out-mmap --stream-from - >/dev/null 2>&1 &
        feeder=$!
        sleep 2
        camera /dev/video10
    fi
    pictures() {
        if [ -n "$feeder" ]; then kill "-$1" $feeder; else v4l2-ctl -d /dev/video0 -c "percentage_of_dropped_buffers=$2"; fi
    }
    within 90 "frames of $camera are labelled" flies
    old=$(pid)
    pictures STOP 100
    within 60 "camera stalled: it says so" trouble "$old"
    # Each time that the agent opens it again, v4l2loopback gives it the last picture once more.
    sleep $((${WATCHDOG:-20} + 10))
    active && [ "$(pid)" = "$old" ] || fail "it was restarted while the camera stalled"
    within 60 "and it still waits" trouble "$old"
    pictures CONT 0
    within 60 "it goes on, frames come" steady
    [ "$(pid)" = "$old" ] || fail "another process"
    [ -n "$feeder" ] || return 0
    kill $feeder
    camera /dev/video0 5
    within 90 "back to vivid" flies
}

step_reboot() {
    say "      memory now $(($(show MemoryCurrent) / 1000000)) MB"
    mark
    next rebooted
    systemctl reboot
    sleep 300
    fail "it did not reboot"
}

step_rebooted() {
    within 120 "after a reboot it flies by itself" flies
    kestrel-agent status | grep -q 'vm-drone' || fail "the configuration was lost"
}

step_power() {
    mark
    next recovered
    # No sync, no goodbye.
    echo b >/proc/sysrq-trigger
    sleep 300
    fail "the power was not cut"
}

step_recovered() {
    within 120 "after a power cut it flies by itself" flies
    grep -q learned /var/lib/kestrel/keep || fail "the state was lost"
}

step_upgrade() {
    mark
    local old
    old=$(pid)
    apt-get install -y "/host/kestrel-agent_0.0.2_$arch.deb" </dev/null || fail "apt install of the next version"
    [ "$(dpkg-query -W -f '${Version}' $unit)" = 0.0.2 ] || fail "still the old version"
    within 90 "the new version flies" replaced "$old"
    grep -q '^drone: vm-drone' $config && grep -q learned /var/lib/kestrel/keep || fail "configuration or state were lost"
    pass "configuration and state were kept"
    systemctl disable --now $unit
    apt-get install -y --reinstall "/host/kestrel-agent_0.0.2_$arch.deb" </dev/null || fail "apt install again"
    sleep 3
    [ "$(systemctl is-enabled $unit) $(systemctl is-active $unit)" = 'disabled inactive' ] || fail "an upgrade started what was switched off"
    pass "a service that was switched off stays so"
    systemctl enable --now --no-block $unit
}

step_remove() {
    mark
    apt-get remove -y $unit </dev/null || fail "apt remove"
    active && fail "it still runs"
    [ -f $config ] && [ -f /var/lib/kestrel/keep ] || fail "configuration or state went with it"
    pass "configuration and state stay"
    apt-get purge -y $unit </dev/null || fail "apt purge"
    ls -d /etc/kestrel /var/lib/kestrel /usr/lib/kestrel-agent 2>/dev/null && fail "purge left something"
    pass "purge leaves nothing"
}

# install.sh and uninstall.sh, both rooms, with the packages that the host has fetched: there is no network here.
step_clone() {
    export PATH=/host/tools:$PATH npm_config_cache=/host/npm-cache npm_config_offline=true npm_config_update_notifier=false KESTREL_CACHE=/host/cache
    npm_config_registry=$(cat /host/registry)
    export npm_config_registry
    local here=/host/clone/systemd
    $here/install.sh agent || fail "install.sh agent"
    $here/install.sh ground || fail "install.sh ground"
    pass "install.sh: $(du -sm /usr/lib/kestrel-agent | cut -f1) MB of agent, $(du -sm /usr/lib/kestrel-ground | cut -f1) MB of ground station"
    camera /dev/video0 5
    within 120 "installed from a clone, it flies" flies
    within 60 "the ground station runs" systemctl is-active kestrel-ground
    echo '# mine' >>$config
    $here/install.sh agent || fail "install.sh agent, again"
    grep -q '^# mine' $config || fail "the configuration was written over"
    within 120 "installed again it flies, with its configuration" flies
    $here/uninstall.sh agent || fail "uninstall.sh"
    active && fail "it still runs"
    command -v kestrel-agent && fail "the command is still there"
    [ -f $config ] && [ -d /var/lib/kestrel ] && [ -d /usr/share/kestrel/models ] || fail "more went than should"
    pass "uninstall.sh keeps configuration, state, and what the ground station needs"
    $here/uninstall.sh agent --purge && $here/uninstall.sh ground --purge || fail "uninstall.sh --purge"
    ls -d /etc/kestrel /var/lib/kestrel /var/lib/kestrel-ground /usr/lib/kestrel-* /usr/share/kestrel /usr/bin/kestrel-* \
        /usr/lib/systemd/system/kestrel-* /usr/lib/udev/rules.d/60-kestrel.rules 2>/dev/null && fail "something is left"
    pass "uninstall.sh --purge leaves nothing"
}

export DEBIAN_FRONTEND=noninteractive
[[ " ${steps[*]} " = *" $step "* ]] || fail "there is no such step; there are ${steps[*]}"
# To look at while it runs: there is no other way into this VM.
journalctl -b -f -u $unit --no-pager -o short-monotonic >>/host/journal.log 2>&1 &
[ "$step" = install ] || [ "$step" = clone ] || [ -x /usr/bin/kestrel-agent ] || prepare
from=$step begun=
for step in "${steps[@]}"; do
    [ "$step" != "$from" ] || begun=1
    [ -z "$begun" ] || "step_$step"
done
say "all of it, to the end"
