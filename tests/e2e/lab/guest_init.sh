#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guest kernel's init. Its root is the host's, read-only; what it writes goes to the tmpfs mounts below.
# It runs the lines that arrive on the console, one command line after the other.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
# The kernel loads algorithms by name; its modules lie where kmod does not look by itself.
mkdir -p /run/modules/lib /run/netns /run/lock
ln -s /usr/lib/uml/modules /run/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
/run/modprobe -a af_packet xfrm_user esp4 esp6 xfrm4_tunnel xfrm6_tunnel 2>&1
ip link set lo up
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
stty -echo 2>/dev/null
exec 2>&1
echo "guest ready: $(uname -r)"
while read -r line; do eval "$line"; done
poweroff -f
