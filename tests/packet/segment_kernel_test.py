#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The segment hash against the running kernel (FEATURES, "The segment hash"): nftables' jhash and xt_cluster must name the
same segment as lib/ipsec/segment.cpp, bit for bit, or a DPDK node and a kernel node cannot share a cluster.

      left (raw sockets: any source)          right (nft and iptables look at what arrives)
      l0 ---------------- veth ---------------- r0

Every packet that arrives leaves what the kernel computed in an nft set, together with the fields that were hashed.
"""
import json
import os
import random
import socket
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from script import Skip, case, check, check_equal, main  # noqa: E402

TOOL = Path(os.environ.get("SLUICE_BUILD", "build")) / "tests/packet/segment-vectors"
LEFT, RIGHT = f"sluice-seg-l{os.getpid()}", f"sluice-seg-r{os.getpid()}"
SEED = int(os.environ.get("SLUICE_SEED", "20260117"))
RANDOM = random.Random(SEED)


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def left(*command, **kwargs):
    return run("ip", "netns", "exec", LEFT, *command, **kwargs)


def right(*command, **kwargs):
    return run("ip", "netns", "exec", RIGHT, *command, **kwargs)


def set_up():
    if os.geteuid() != 0:
        return
    print(f"seed {SEED}", file=sys.stderr)
    run("ip", "netns", "add", LEFT)
    run("ip", "netns", "add", RIGHT)
    run("ip", "link", "add", "l0", "netns", LEFT, "type", "veth", "peer", "name", "r0", "netns", RIGHT)
    mac = json.loads(right("ip", "-j", "link", "show", "r0"))[0]["address"]
    for name, inside in (("l0", left), ("r0", right)):
        inside("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", f"net.ipv6.conf.{name}.accept_dad=0",
               "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{name}.rp_filter=0", "net.ipv4.ip_nonlocal_bind=1",
               "net.ipv6.ip_nonlocal_bind=1")
        inside("ip", "link", "set", name, "up")
        inside("ip", "link", "set", "lo", "up")
    # Any destination leaves by l0, for r0's MAC, without asking for neighbours.
    for family, gateway in (("-4", "169.254.1.1"), ("-6", "fe80::1")):
        left("ip", family, "neigh", "add", gateway, "lladdr", mac, "dev", "l0", "nud", "permanent")
    left("ip", "-4", "route", "add", "default", "via", "169.254.1.1", "dev", "l0", "onlink")
    left("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "l0", "onlink")


def tear_down():
    for name in (LEFT, RIGHT):
        if os.geteuid() == 0:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def need(*tools):
    if os.geteuid() != 0:
        raise Skip("needs root")
    for tool in tools:
        if not any(os.access(f"{place}/{tool}", os.X_OK) for place in ("/usr/sbin", "/usr/bin", "/sbin")):
            raise Skip(f"needs {tool}")


def ours(rows):
    text = "".join(f"{kind} {address} {spi} {seq} {seed} {n}\n" for kind, address, spi, seq, seed, n in rows)
    return [int(line) for line in run(str(TOOL), stdin=text).split()]


SENDER = """
import socket, struct, sys
for line in sys.stdin:
    source, destination, payload = line.split()
    body = bytes.fromhex(payload)
    if ":" in source:
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        head = struct.pack("!IHBB", 6 << 28, len(body), 50, 64)
        head += socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        s.sendto(head + body, (destination, 0))
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 50, 0)
        head += socket.inet_aton(source) + socket.inet_aton(destination)
        s.sendto(head + body, (destination, 0))
    s.close()
"""


def send(packets):
    """packets: (source, destination, spi, seq); ESP with 16 bytes of nothing behind its header."""
    text = "".join(f"{s} {d} {struct.pack('!II', spi, seq).hex()}{'00' * 16}\n" for s, d, spi, seq in packets)
    left("/usr/bin/python3", "-c", SENDER, stdin=text)


def seen(table, wanted):
    """The tuples of the set, once `wanted` of them are there."""
    listed = json.loads(right("nft", "-j", "list", "set", "inet", table, "seen"))
    elements = next(o["set"].get("elem", []) for o in listed["nftables"] if "set" in o)
    rows = {tuple(e["concat"]) if isinstance(e, dict) and "concat" in e else (e,) for e in elements}
    check_equal(len(rows), wanted, "packets that reached the kernel's hash")
    return rows


def random_v4():
    return socket.inet_ntop(socket.AF_INET, bytes([RANDOM.randrange(11, 120)] + [RANDOM.randrange(1, 255) for _ in range(3)]))


def random_v6():
    return socket.inet_ntop(socket.AF_INET6, bytes([0x20, 0x01] + [RANDOM.randrange(256) for _ in range(14)]))


def random_spi():
    return RANDOM.randrange(256, 1 << 32)


def nft_jhash(family, kind, seed, n, vectors):
    """vectors: (destination, spi, seq). The kernel's segment of each against ours."""
    key = f"{family} daddr . esp spi" + (" . esp sequence & 0xfffffff0" if kind == "seq" else "")
    table = "segment"
    right("nft", "-f", "-", stdin=f"""
        table inet {table} {{
            set seen {{ typeof {family} daddr . esp spi . esp sequence . meta mark; flags dynamic; size 65536; }}
            chain in {{
                type filter hook prerouting priority 0; policy accept;
                meta l4proto esp meta mark set jhash {key} mod {n} seed {seed:#x}
                meta l4proto esp add @seen {{ {family} daddr . esp spi . esp sequence . meta mark }}
            }}
        }}""")
    try:
        source = "192.0.2.1" if family == "ip" else "2001:db8::1"
        send([(source, d, spi, seq) for d, spi, seq in vectors])
        kernel = {(d, spi, seq): mark for d, spi, seq, mark in seen(table, len(set(vectors)))}
    finally:
        right("nft", "delete", "table", "inet", table)
    mine = ours([(kind, d, spi, seq, seed, n) for d, spi, seq in vectors])
    for vector, segment in zip(vectors, mine):
        check_equal(segment, kernel[vector] + 1, f"segment of {vector}, seed {seed:#x}, n {n}")
    return kernel


SHAPES = [(0xdeadbeef, 16), (1, 2), (0x12345678, 5), (0xfffffffe, 4)]


@case("H13 TRAPS 62: nft jhash ip daddr . esp spi")
def nft_v4():
    need("nft")
    for seed, n in SHAPES:
        vectors = [("192.0.2.1", 0x12345678, 1), ("10.1.2.3", 0x1001, 1)]
        vectors += [(random_v4(), random_spi(), RANDOM.randrange(1, 1 << 32)) for _ in range(200)]
        kernel = nft_jhash("ip", "sa", seed, n, vectors)
        check(len(set(kernel.values())) == n, "some segment was never named")
        print(f"{vectors[0]} -> {kernel[vectors[0]] + 1}, {vectors[1]} -> {kernel[vectors[1]] + 1}", file=sys.stderr)


@case("H11 H14: nft jhash ip daddr . esp spi . esp sequence & 0xfffffff0")
def nft_v4_sequence():
    need("nft")
    for seed, n in SHAPES:
        first = 0xfffffff7
        vectors = [("192.0.2.1", 0x12345678, 0x9abcdef7)]
        vectors += [("192.0.2.1", 0x12345678, (first + i) & 0xffffffff) for i in range(100)]
        vectors += [(random_v4(), random_spi(), RANDOM.randrange(1, 1 << 32)) for _ in range(100)]
        kernel = nft_jhash("ip", "seq", seed, n, vectors)
        print(f"{vectors[0]} -> {kernel[vectors[0]] + 1}", file=sys.stderr)


@case("H23: nft jhash ip6 daddr . esp spi")
def nft_v6():
    need("nft")
    for seed, n in SHAPES:
        vectors = [("2001:db8::1:2", 0x89abcdef, 1)]
        vectors += [(random_v6(), random_spi(), RANDOM.randrange(1, 1 << 32)) for _ in range(200)]
        kernel = nft_jhash("ip6", "sa", seed, n, vectors)
        print(f"{vectors[0]} -> {kernel[vectors[0]] + 1}", file=sys.stderr)
        nft_jhash("ip6", "seq", seed, n, vectors)


def xt_cluster(family, iptables, seed, n, sources, hashed=lambda source: source):
    """xt_cluster's node of each source address against our segment of an IKE peer; hashed(source) is what it looks at."""
    table = "segment"
    destination = "192.0.2.200" if family == "ip" else "2001:db8::200"
    right("nft", "-f", "-", stdin=f"""
        table inet {table} {{
            set seen {{ typeof {family} saddr . meta mark; flags dynamic; size 65536; }}
            chain in {{
                type filter hook prerouting priority 0; policy accept;
                meta l4proto esp add @seen {{ {family} saddr . meta mark }}
            }}
        }}""")
    rules = [["-m", "cluster", "--cluster-total-nodes", str(n), "--cluster-local-node", str(i), "--cluster-hash-seed", str(seed),
              "-j", "MARK", "--set-mark", str(i)] for i in range(1, n + 1)]
    try:
        for rule in rules:
            right(iptables, "-t", "mangle", "-A", "PREROUTING", *rule)
        send([(s, destination, 0x1001, 1) for s in sources])
        kernel = dict(seen(table, len(set(sources))))
    finally:
        subprocess.run(["ip", "netns", "exec", RIGHT, iptables, "-t", "mangle", "-F"], capture_output=True)
        right("nft", "delete", "table", "inet", table)
    for source, segment in zip(sources, ours([("ike", hashed(s), 0, 0, seed, n) for s in sources])):
        check_equal(segment, kernel[source], f"segment of peer {source}, seed {seed:#x}, n {n}")
    print(f"{sources[0]} -> {kernel[sources[0]]}", file=sys.stderr)


@case("H12: xt_cluster over IPv4 peers")
def xt_cluster_v4():
    need("nft", "iptables-nft")
    for seed, n in SHAPES:
        xt_cluster("ip", "iptables-nft", seed, n, ["198.51.100.77"] + [random_v4() for _ in range(150)])


def first_word(source):
    """The first 32 bits of an IPv6 address as an IPv4 address."""
    return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET6, source)[:4])


# The kernel counts the words of an IPv6 address wrongly (NF_CT_TUPLE_L3SIZE / 4 is one word, not four) and so hashes its first
# 32 bits only. Sluice hashes all 128: a kernel node takes nft's jhash for IPv6 peers, as the case after this one does.
@case("H12 H23: xt_cluster hashes the first word of an IPv6 peer")
def xt_cluster_v6():
    need("nft", "ip6tables-nft")
    for seed, n in SHAPES:
        xt_cluster("ip6", "ip6tables-nft", seed, n, ["2001:db8:7::9"] + [random_v6() for _ in range(150)], first_word)


@case("H12 H23: nft jhash ip6 saddr over IPv6 peers")
def nft_v6_peers():
    need("nft")
    for seed, n in SHAPES:
        table, sources = "segment", ["2001:db8:7::9"] + [random_v6() for _ in range(150)]
        right("nft", "-f", "-", stdin=f"""
            table inet {table} {{
                set seen {{ typeof ip6 saddr . meta mark; flags dynamic; size 65536; }}
                chain in {{
                    type filter hook prerouting priority 0; policy accept;
                    meta l4proto esp meta mark set jhash ip6 saddr mod {n} seed {seed:#x}
                    meta l4proto esp add @seen {{ ip6 saddr . meta mark }}
                }}
            }}""")
        try:
            send([(s, "2001:db8::200", 0x1001, 1) for s in sources])
            kernel = dict(seen(table, len(set(sources))))
        finally:
            right("nft", "delete", "table", "inet", table)
        for source, segment in zip(sources, ours([("ike", s, 0, 0, seed, n) for s in sources])):
            check_equal(segment, kernel[source] + 1, f"segment of peer {source}, seed {seed:#x}, n {n}")


@case("A wrong byte order would be noticed")
def can_fail():
    need("nft")
    vectors = [(random_v4(), random_spi(), 1) for _ in range(60)]
    swapped = [("sa", d, struct.unpack("<I", struct.pack(">I", spi))[0], 1, 3, 16) for d, spi, _ in vectors]
    straight = [("sa", d, spi, 1, 3, 16) for d, spi, _ in vectors]
    check(sum(a != b for a, b in zip(ours(swapped), ours(straight))) > 30, "the hash does not depend on byte order")


if __name__ == "__main__":
    main(before=set_up, after=tear_down)
