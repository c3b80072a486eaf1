#!/usr/bin/env bash
# uninstall.sh [agent|ground] [--purge]: removes what install.sh installed. --purge takes configuration and state as well.
set -euo pipefail
room=agent purge=
for argument; do
    case $argument in
    agent | ground) room=$argument ;;
    --purge) purge=1 ;;
    *) sed -n '2s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" = 0 ] || { echo "uninstall.sh: needs root rights: sudo $0 $*" >&2; exit 1; }
name=kestrel-$room
state=/var/lib/kestrel
[ "$room" = agent ] || state=/var/lib/kestrel-ground
systemctl disable --now --quiet "$name" 2>/dev/null || true
rm -rf "/usr/lib/$name" "/usr/bin/$name" "/usr/share/doc/$name" \
    "/usr/lib/systemd/system/$name.service" "/usr/lib/sysusers.d/$name.conf" "/usr/lib/tmpfiles.d/$name.conf"
# The other room may still need the models.
[ -d /usr/lib/kestrel-agent ] || [ -d /usr/lib/kestrel-ground ] || rm -rf /usr/share/kestrel
[ "$room" = ground ] || rm -f /usr/lib/udev/rules.d/60-kestrel.rules
systemctl daemon-reload
if [ -n "$purge" ]; then
    rm -rf "$state" "/etc/kestrel/$room.yaml"
    rmdir --ignore-fail-on-non-empty /etc/kestrel
fi
echo "$name is removed$([ -n "$purge" ] || echo "; /etc/kestrel/$room.yaml and $state are kept (--purge takes them)")"
