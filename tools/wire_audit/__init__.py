# SPDX-License-Identifier: Apache-2.0
"""Proves from captures and a key log what a gateway may not do wrong; shares no code with the gateway.

    wire-audit CAPTURE... --keys KEYLOG --policy FILE [--json]

It shows that no (key, IV) and no (SPI, sequence number) was used twice, that every ICV verifies with the logged key, that no
protected packet crossed outside in clear (fragments and ICMP errors looked into), how far packets were displaced per SPI, and
that every protected packet that went in came out or is matched by a drop counter. Exit 1 on any violation, 2 on bad input.

The policy file, TOML:

    account = true                 # false: do not match packets in against packets out
    allow = ["unknown-spi"]        # kinds of violation that are only noted
    hosts = ["10.1.0.1"]           # addresses of the gateway itself: its packets are seen at one side only
    [[protect]]
    local = ["10.1.0.0/24"]        # one prefix or a list
    remote = ["10.2.0.0/24"]
    [captures]                     # by file name: on which side of the gateway it was taken
    "outside.pcap" = "outside"
    "inside.pcap" = "inside"
    [drops]                        # texts of /metrics around the captures
    before = "before.txt"
    after = "after.txt"

Reading order: capture.py (files to frames), packets.py (frames to IP packets, fragments, what identifies a packet), keys.py, esp.py,
ike.py (opening what is sealed), audit.py (the checks), main.py (input and report).
"""
