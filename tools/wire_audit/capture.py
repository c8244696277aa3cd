# SPDX-License-Identifier: Apache-2.0
"""pcap and pcapng files, read without help: (number, link type, frame) in file order."""
import struct

ETHERNET, RAW_IP, LINUX_SLL, LINUX_SLL2 = 1, 101, 113, 276


class BadCapture(Exception):
    """The file is not a capture that can be audited; the text says why."""


def frames(path):
    """Yields (number from 1, link type, bytes). A frame cut off by a snap length is an error: it proves nothing."""
    with open(path, "rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic == b"\x0a\x0d\x0d\x0a":
            yield from _pcapng(file, path)
        elif magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
            yield from _pcap(file, path, "<")
        elif magic in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
            yield from _pcap(file, path, ">")
        else:
            raise BadCapture(f"{path}: neither pcap nor pcapng")


def _whole(path, number, captured, original):
    if captured < original:
        raise BadCapture(f"{path}: frame {number} is cut to {captured} of {original} bytes")


def _pcap(file, path, order):
    header = file.read(24)
    link = struct.unpack(order + "I", header[20:24])[0] & 0xFFFF
    number = 0
    while True:
        record = file.read(16)
        if len(record) < 16:
            return
        captured, original = struct.unpack(order + "II", record[8:])
        data = file.read(captured)
        if len(data) < captured:
            return  # the writer was ended in the middle of a record
        number += 1
        _whole(path, number, captured, original)
        yield number, link, data


def _pcapng(file, path):
    order, links, number = "<", [], 0
    while True:
        head = file.read(8)
        if len(head) < 8:
            return
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            mark = file.read(4)
            order = "<" if mark == b"\x4d\x3c\x2b\x1a" else ">"
            length = struct.unpack(order + "I", head[4:])[0]
            file.seek(length - 12, 1)
            links = []
            continue
        kind, length = struct.unpack(order + "II", head)
        body = file.read(length - 8)
        if length < 12 or len(body) < length - 8:
            return
        if kind == 1:
            links.append(struct.unpack(order + "H", body[:2])[0])
        elif kind == 6:
            interface, captured, original = struct.unpack(order + "I8xII", body[:20])
            number += 1
            _whole(path, number, captured, original)
            yield number, links[interface], body[20:20 + captured]
        elif kind == 3:
            original = struct.unpack(order + "I", body[:4])[0]
            number += 1
            _whole(path, number, len(body) - 8, original)
            yield number, links[0], body[4:4 + original]
