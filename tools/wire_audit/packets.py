# SPDX-License-Identifier: Apache-2.0
"""Frames to IP packets: headers, fragments put together again, and what identifies a packet on both sides of a gateway."""
import hashlib
import ipaddress
import struct
from dataclasses import dataclass

from .capture import ETHERNET, LINUX_SLL, LINUX_SLL2, RAW_IP

ICMP, IPIP, TCP, UDP, IPV6_IN_IP, FRAGMENT, ESP, ICMP6 = 1, 4, 6, 17, 41, 44, 50, 58
_V6_OPTIONS = (0, 43, 60)  # hop-by-hop, routing, destination options
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}


@dataclass
class Packet:
    """An IP packet. payload: what follows the IP header and IPv6 extension headers. proto: what the payload is."""

    version: int
    src: object
    dst: object
    proto: int
    payload: bytes
    ident: int  # IPv4 identification; the fragment header's in an IPv6 fragment, else 0
    offset: int = 0  # of the payload in its datagram, bytes
    more: bool = False

    @property
    def fragment(self):
        return self.more or self.offset > 0


_ADDRESSES = {}


def _address(raw):
    known = _ADDRESSES.get(raw)
    if known is None:
        known = _ADDRESSES[raw] = ipaddress.ip_address(raw)
    return known


def ip_of_frame(link, frame):
    """The bytes of the IP packet in a frame, or None (ARP and the like)."""
    if link == RAW_IP:
        return frame
    at = {ETHERNET: 12, LINUX_SLL: 14, LINUX_SLL2: 0}.get(link)
    if at is None:
        raise ValueError(f"link type {link} is not handled")
    if link == LINUX_SLL2:
        return frame[20:] if frame[:2] in (b"\x08\x00", b"\x86\xdd") else None
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return frame[at + 2:] if frame[at:at + 2] in (b"\x08\x00", b"\x86\xdd") else None


def parse(data):
    """A Packet, or None where the bytes are not a whole IP packet. What follows the IP length (padding) is left out."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        return _parse4(data)
    if len(data) >= 40 and data[0] >> 4 == 6:
        return _parse6(data)
    return None


def _parse4(data):
    header = (data[0] & 15) * 4
    length, ident, flags = struct.unpack_from("!HHH", data, 2)
    if header < 20 or length < header or len(data) < length:
        return None
    return Packet(4, _address(data[12:16]), _address(data[16:20]), data[9], data[header:length], ident, (flags & 0x1FFF) * 8, bool(flags & 0x2000))


def _parse6(data):
    length, proto = struct.unpack_from("!HB", data, 4)
    if len(data) < 40 + length:
        return None
    packet = Packet(6, _address(data[8:24]), _address(data[24:40]), proto, data[40:40 + length], 0)
    while packet.proto in _V6_OPTIONS and len(packet.payload) >= 8:
        size = packet.payload[1] * 8 + 8
        packet.proto, packet.payload = packet.payload[0], packet.payload[size:]
    if packet.proto == FRAGMENT and len(packet.payload) >= 8:
        proto, place, packet.ident = struct.unpack_from("!BxHI", packet.payload)
        packet.proto, packet.payload = proto, packet.payload[8:]
        packet.offset, packet.more = place & 0xFFF8, bool(place & 1)
    return packet


def embedded(packet):
    """The start of the packet that an ICMP error quotes, as a Packet without a checked length; None where there is none."""
    body = packet.payload
    if packet.proto == ICMP and len(body) >= 28 and body[0] in (3, 4, 5, 11, 12) and body[8] >> 4 == 4:
        quoted = body[8:]
        return Packet(4, _address(quoted[12:16]), _address(quoted[16:20]), quoted[9], quoted[(quoted[0] & 15) * 4:], 0)
    if packet.proto == ICMP6 and len(body) >= 48 and body[0] < 128 and body[8] >> 4 == 6:
        quoted = body[8:]
        return Packet(6, _address(quoted[8:24]), _address(quoted[24:40]), quoted[6], quoted[40:], 0)
    return None


class Reassembler:
    """Puts fragments together; add() returns the whole packet once its last piece has come."""

    def __init__(self):
        self._waiting = {}

    def add(self, packet):
        if not packet.fragment:
            return packet
        name = (packet.version, packet.src, packet.dst, packet.ident, packet.proto if packet.version == 4 else 0)
        pieces = self._waiting.setdefault(name, {})
        pieces[packet.offset] = packet
        whole = self._join(pieces)
        if whole is not None:
            del self._waiting[name]
        return whole

    @staticmethod
    def _join(pieces):
        data, at = b"", 0
        while at in pieces:
            piece = pieces[at]
            data += piece.payload
            if not piece.more:
                first = pieces[0]
                return Packet(first.version, first.src, first.dst, first.proto, data, first.ident)
            if not piece.payload:
                return None
            at += len(piece.payload)
        return None

    def unfinished(self):
        return len(self._waiting)


def identity(packet):
    """A digest of what a gateway may not change: addresses, identification, protocol, payload. Hop limit, DSCP, ECN, flow label
    and checksums (a sender may leave them to its interface) are not in it."""
    payload = packet.payload
    at = _CHECKSUM_AT.get(packet.proto)
    if at is not None and len(payload) >= at + 2:
        payload = payload[:at] + b"\0\0" + payload[at + 2:]
    head = b"%d|%s|%s|%d|" % (packet.version, packet.src.packed, packet.dst.packed, packet.proto)
    ident = packet.ident if packet.version == 4 else 0
    return hashlib.blake2b(head + ident.to_bytes(4, "big") + payload, digest_size=16).digest()
