# SPDX-License-Identifier: Apache-2.0
"""Traffic between hosts of the lab, and what to say when it does not arrive."""
import json
import re
import socket
import time


def ping(space, target, source=None, count=1, size=56, interval=0.05, timeout=2, ok=True, dont_fragment=False):
    """Pings and returns the number of replies; with `ok` a lost one is an AssertionError."""
    words = ["ping", "-n", "-c", str(count), "-i", str(interval), "-W", str(timeout), "-s", str(size)]
    words += (["-I", source] if source else []) + (["-M", "do"] if dont_fragment else [])
    # Without a deadline ping gives a late last reply twice the round trip only, which a busy machine exceeds. With one it
    # sends on until so many replies have come: those to the first `count` requests are what is asked about.
    words += ["-w", str(int(timeout + count * interval) + 3)] if ok else []
    done = space.run(words + [target], ok=None, timeout=timeout + count * max(interval, 0.05) + 20)
    received = len({n for n in map(int, re.findall(r"icmp_seq=(\d+) ttl=", done.stdout)) if n <= count})
    if ok and received != count:
        raise AssertionError(f"ping {space.short} -> {target} size {size}: {received} of {count}; {done.stdout} {done.stderr}")
    return received


def ping_until(space, target, source=None, timeout=10, size=56):
    """Pings until the first reply; the packets before it may be lost to resolution or negotiation."""
    end = time.monotonic() + timeout
    while not ping(space, target, source, timeout=0.3, size=size, ok=False):
        if time.monotonic() > end:
            raise AssertionError(f"no reply {space.short} -> {target} within {timeout} s")


def ping_sweep(space, target, sizes, source=None):
    """One ping of each size, as one command each; returns the sizes that got no reply."""
    return [size for size in sizes if not ping(space, target, source, size=size, timeout=1, ok=False)]


class Iperf3:
    """An iperf3 server in `space`; run() drives it from elsewhere."""

    def __init__(self, space, address, port=5201):
        self.address, self.port = address, port
        self.server = space.start(["iperf3", "-s", "-B", address, "-p", str(port), "--forceflush"], f"iperf3-{space.short}-{port}.log")
        deadline = time.monotonic() + 5
        while "listening" not in self.server.text() and time.monotonic() < deadline:
            time.sleep(0.03)

    def run(self, client, source=None, seconds=2, reverse=False, udp_rate=None):
        """Mbit/s that arrived, and the whole report of iperf3."""
        words = ["iperf3", "-J", "-c", self.address, "-p", str(self.port), "-t", str(seconds), "--connect-timeout", "3000"]
        words += (["-B", source] if source else []) + (["-R"] if reverse else []) + (["-u", "-b", udp_rate] if udp_rate else [])
        done = client.run(words, ok=None, timeout=seconds + 20)
        report = json.loads(done.stdout or "{}")
        if "error" in report or not report.get("end"):
            raise AssertionError(f"iperf3 {client.short} -> {self.address}: {report.get('error', done.stderr)}")
        end = report["end"]
        return end.get("sum_received", end.get("sum", {}))["bits_per_second"] / 1e6, report

    def stop(self):
        self.server.stop()


def _udp_server(address, port):
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    server.settimeout(5)
    return server


def udp_echo(server_space, server_address, client_space, client_address, payloads, port=7007):
    """Sends each payload, has it echoed, returns those that did not come back unchanged."""
    server = server_space.call(_udp_server, server_address, port)
    client = client_space.call(_udp_server, client_address, 0)
    lost = []
    with server, client:
        for payload in payloads:
            client.sendto(payload, (server_address, port))
            try:
                data, sender = server.recvfrom(65535)
                server.sendto(data, sender)
                echoed = client.recv(65535)
            except socket.timeout:
                echoed = None
            if echoed != payload:
                lost.append(payload)
    return lost


def tcp_echo(server_space, server_address, client_space, client_address, payload, port=7008):
    """One TCP connection that carries `payload` there and back. True when it came back unchanged."""
    family = socket.AF_INET6 if ":" in server_address else socket.AF_INET
    listener = server_space.call(lambda: socket.create_server((server_address, port), family=family))
    client = client_space.call(socket.socket, family, socket.SOCK_STREAM)
    with listener, client:
        client.settimeout(5)
        listener.settimeout(5)
        client.bind((client_address, 0))
        client.connect((server_address, port))
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(5)
            echoed = b""
            for at in range(0, len(payload), 8192):
                piece = payload[at:at + 8192]
                client.sendall(piece)
                peer.sendall(_exactly(peer, len(piece)))
                echoed += _exactly(client, len(piece))
    return echoed == payload


def _exactly(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            break
        data += more
    return data
