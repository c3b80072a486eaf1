#!/usr/bin/env bash
# install.sh [agent|ground]: installs from this clone what the package would, on this machine (default: agent), and starts the service.
#
# Needs root rights, systemd, and `npm ci && npm run build` before. A configuration that exists is kept. uninstall.sh takes it away again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=${1:-agent}
case $room in agent | ground) ;; *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "install.sh: needs root rights: sudo $0 $*" >&2; exit 1; }
[ -d /run/systemd/system ] || { echo 'install.sh: systemd does not run here' >&2; exit 1; }
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) echo "install.sh: $(uname -m): there are native modules for x86_64 and aarch64 only" >&2; exit 1 ;;
esac
if [ "$room" = agent ] && dpkg -s kestrel-agent >/dev/null 2>&1; then
    echo 'install.sh: the package kestrel-agent is installed: upgrade or purge that instead' >&2
    exit 1
fi
name=kestrel-$room
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$here/stage.sh" "$room" "$root" "$arch"
rm -rf "/usr/lib/$name"
for config in "$root"/etc/kestrel/*.yaml; do
    [ ! -e "/etc/kestrel/$(basename "$config")" ] || rm "$config"
done
cp -r "$root/." /
systemd-sysusers "$name.conf"
[ "$room" = ground ] || systemd-tmpfiles --create "$name.conf"
systemctl daemon-reload
udevadm control --reload && udevadm trigger --subsystem-match=video4linux --subsystem-match=tty || true
systemctl enable --quiet "$name"
systemctl --no-block restart "$name"
echo "$name is installed and starts. Configuration: /etc/kestrel/$room.yaml; log: journalctl -u $name"
