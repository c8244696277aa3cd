# SPDX-License-Identifier: Apache-2.0
"""The key log: one JSON object a line, kinds "esp" and "ike"; transforms by their IANA numbers."""
import hashlib
import hmac
import json
import warnings
from dataclasses import dataclass

warnings.filterwarnings("ignore")
from cryptography.exceptions import InvalidTag  # noqa: E402
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305  # noqa: E402

NULL, AES_CBC, AES_GCM_8, AES_GCM_12, AES_GCM_16, CHACHA20 = 11, 12, 18, 19, 20, 28
_INTEG = {2: ("sha1", 12), 12: ("sha256", 16), 13: ("sha384", 24), 14: ("sha512", 32)}
_ENCR = {NULL: "NULL", AES_CBC: "AES_CBC", AES_GCM_16: "AES_GCM_16", CHACHA20: "CHACHA20_POLY1305"}


class BadKeyLog(Exception):
    """The key log cannot be used; the text names the line."""


class Sealed:
    """One direction's transform and keys. open() verifies and decrypts; both ESP and IKE's SK payload are made of it."""

    def __init__(self, encr, encr_key, integ, integ_key):
        if encr not in _ENCR or (integ and integ not in _INTEG):
            raise ValueError(f"transform encr={encr} integ={integ} is not handled")
        self.encr, self.aead = encr, encr in (AES_GCM_16, CHACHA20)
        self.name = _ENCR[encr] + (f"_{len(encr_key[:-4] if self.aead else encr_key) * 8}" if encr != NULL else "")
        self.iv_size = {NULL: 0, AES_CBC: 16}.get(encr, 8)
        self.hash, self.icv_size = (None, 16) if self.aead else _INTEG[integ]
        self.key, self.salt = (encr_key[:-4], encr_key[-4:]) if self.aead else (encr_key, b"")
        self.integ_key = integ_key
        self.identity = hashlib.sha256(bytes([encr]) + encr_key).digest()[:16]
        if self.aead:
            self.cipher = (AESGCM if encr == AES_GCM_16 else ChaCha20Poly1305)(self.key)

    def open(self, iv, body, covered, suffix=b""):
        """Plaintext of `body` (ICV at its end), or None where the ICV is wrong. AEAD: `covered` is the AAD. Otherwise the MAC is
        over `covered`, the IV, the ciphertext and `suffix`."""
        if len(body) < self.icv_size:
            return None
        if self.aead:
            try:
                return self.cipher.decrypt(self.salt + iv, body, covered)
            except InvalidTag:
                return None
        data, icv = body[:-self.icv_size], body[-self.icv_size:]
        mac = hmac.digest(self.integ_key, covered + iv + data + suffix, self.hash)[:self.icv_size]
        if not hmac.compare_digest(mac, icv):
            return None
        if self.encr == NULL:
            return data
        if not data or len(data) % 16:
            return None
        machine = Cipher(algorithms.AES(self.key), modes.CBC(iv)).decryptor()
        return machine.update(data) + machine.finalize()


@dataclass
class EspKey:
    spi: int
    src: str
    dst: str
    esn: bool
    sealed: Sealed
    high: int = None  # the high half of the last sequence number that verified
    last: int = 0  # its low half


@dataclass
class IkeKey:
    spi_i: bytes
    spi_r: bytes
    from_initiator: Sealed
    from_responder: Sealed


@dataclass
class KeyLog:
    esp: dict  # SPI -> [EspKey]
    ike: dict  # (SPIi, SPIr) -> IkeKey


def _esp(entry):
    sealed = Sealed(entry["encr"], bytes.fromhex(entry["encr_key"]), entry["integ"], bytes.fromhex(entry["integ_key"]))
    return EspKey(int(entry["spi"], 16), entry["src"], entry["dst"], entry["esn"], sealed)


def _ike(entry):
    def half(side):
        return Sealed(entry["encr"], bytes.fromhex(entry["sk_e" + side]), entry["integ"], bytes.fromhex(entry["sk_a" + side]))

    return IkeKey(bytes.fromhex(entry["spi_i"]), bytes.fromhex(entry["spi_r"]), half("i"), half("r"))


def read(path):
    log = KeyLog({}, {})
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if entry["t"] == "esp":
                    key = _esp(entry)
                    log.esp.setdefault(key.spi, []).append(key)
                elif entry["t"] == "ike":
                    key = _ike(entry)
                    log.ike[(key.spi_i, key.spi_r)] = key
            except (ValueError, KeyError, TypeError) as error:
                raise BadKeyLog(f"{path}:{number}: {type(error).__name__} {error}") from error
    return log
