#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two hosts that talk to each other, for transport mode; runs by itself, in a namespace or a guest kernel.

    hosts.py serve ADDRESS PORT          echoes UDP
    hosts.py ask OWN ADDRESS PORT SIZE   sends SIZE bytes until they come back unchanged; exit code 1 where they never do
"""
import socket
import sys
import time


def bound(address, port):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    return made


def serve(address, port):
    server = bound(address, int(port))
    while True:
        data, sender = server.recvfrom(65535)
        server.sendto(data, sender)


def ask(own, address, port, size):
    client = bound(own, 0)
    client.settimeout(0.5)
    payload = bytes(i * 7 & 0xFF for i in range(int(size)))
    end = time.monotonic() + 60  # a guest takes its time to start the other side
    error = None
    while time.monotonic() < end:
        try:
            client.sendto(payload, (address, int(port)))
            if client.recv(65535) == payload:
                return 0
        except OSError as problem:  # nothing came, or the path has just been found too narrow
            error = problem
    print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit({"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:]))
