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
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305  # noqa: E402
from cryptography.hazmat.primitives.cmac import CMAC  # noqa: E402

NULL, AES_CBC, AES_CTR, GMAC, CHACHA20 = 11, 12, 13, 21, 28
GCM, CCM = {18: 8, 19: 12, 20: 16}, {14: 8, 15: 12, 16: 16}  # transform -> ICV in bytes
_HMAC = {2: ("sha1", 12), 12: ("sha256", 16), 13: ("sha384", 24), 14: ("sha512", 32)}
XCBC, AES_CMAC = 5, 8
_ENCR = {NULL: "NULL", AES_CBC: "AES_CBC", AES_CTR: "AES_CTR", GMAC: "NULL_AES_GMAC", CHACHA20: "CHACHA20_POLY1305",
         **{t: f"AES_GCM_{n}" for t, n in GCM.items()}, **{t: f"AES_CCM_{n}" for t, n in CCM.items()}}


def _xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def _aes(key, mode, data):
    machine = Cipher(algorithms.AES(key), mode).encryptor()
    return machine.update(data) + machine.finalize()


def _xcbc(key, data):
    """AES-XCBC-MAC (RFC 3566 4)."""
    k1, k2, k3 = (_aes(key, modes.ECB(), bytes([n]) * 16) for n in (1, 2, 3))
    rest = len(data) - (len(data) - 1) // 16 * 16 if data else 0
    body, last = data[:len(data) - rest], data[len(data) - rest:]
    last = _xor(last, k2) if len(last) == 16 else _xor((last + b"\x80").ljust(16, b"\0"), k3)
    return _aes(k1, modes.CBC(bytes(16)), body + last)[-16:]


def _cmac(key, data):
    machine = CMAC(algorithms.AES(key))
    machine.update(data)
    return machine.finalize()


def _mac(integ, key, data):
    """The ICV of an integrity transform."""
    if integ in _HMAC:
        name, size = _HMAC[integ]
        return hmac.digest(key, data, name)[:size]
    return (_xcbc if integ == XCBC else _cmac)(key, data)[:12]


class BadKeyLog(Exception):
    """The key log cannot be used; the text names the line."""


class Sealed:
    """One direction's transform and keys. open() verifies and decrypts; both ESP and IKE's SK payload are made of it."""

    def __init__(self, encr, encr_key, integ, integ_key):
        self.encr, self.integ, self.aead = encr, integ, encr in GCM or encr in CCM or encr in (GMAC, CHACHA20)
        if encr not in _ENCR or (not self.aead and integ not in (*_HMAC, XCBC, AES_CMAC)):
            raise ValueError(f"transform encr={encr} integ={integ} is not handled")
        salt = {NULL: 0, AES_CBC: 0, **dict.fromkeys(CCM, 3)}.get(encr, 4)
        self.key, self.salt = encr_key[:len(encr_key) - salt], encr_key[len(encr_key) - salt:]
        self.name = _ENCR[encr] + (f"_{len(self.key) * 8}" if encr != NULL else "")
        self.iv_size = {NULL: 0, AES_CBC: 16}.get(encr, 8)
        self.icv_size = {**GCM, **CCM, GMAC: 16, CHACHA20: 16}[encr] if self.aead else _HMAC.get(integ, ("", 12))[1]
        self.integ_key = integ_key
        self.identity = hashlib.sha256(bytes([encr]) + encr_key).digest()[:16]
        if encr in CCM:
            self.cipher = AESCCM(self.key, tag_length=self.icv_size)
        elif encr == CHACHA20:
            self.cipher = ChaCha20Poly1305(self.key)
        elif self.aead:
            self.cipher = AESGCM(self.key)

    def open(self, iv, body, covered, suffix=b""):
        """Plaintext of `body` (ICV at its end), or None where the ICV is wrong. AEAD: `covered` is the AAD. Otherwise the MAC is
        over `covered`, the IV, the ciphertext and `suffix`."""
        if len(body) < self.icv_size:
            return None
        data, icv = body[:-self.icv_size], body[-self.icv_size:]
        if self.aead:
            try:
                return self._open_aead(self.salt + iv, data, icv, covered)
            except InvalidTag:
                return None
        if not hmac.compare_digest(_mac(self.integ, self.integ_key, covered + iv + data + suffix), icv):
            return None
        if self.encr == NULL:
            return data
        if self.encr == AES_CTR:  # RFC 3686 4: nonce, IV, and a counter that starts at 1
            return _aes(self.key, modes.CTR(self.salt + iv + b"\0\0\0\1"), data)
        if not data or len(data) % 16:
            return None
        machine = Cipher(algorithms.AES(self.key), modes.CBC(iv)).decryptor()
        return machine.update(data) + machine.finalize()

    def _open_aead(self, nonce, data, icv, covered):
        if self.encr == GMAC:  # RFC 4543 3.3: all of it is additional data
            self.cipher.decrypt(nonce, icv, covered + nonce[-8:] + data)
            return data
        if self.encr in GCM and self.icv_size < 16:  # RFC 4106 6: a tag that is cut short
            machine = Cipher(algorithms.AES(self.key), modes.GCM(nonce, icv, min_tag_length=self.icv_size)).decryptor()
            machine.authenticate_additional_data(covered)
            return machine.update(data) + machine.finalize()
        return self.cipher.decrypt(nonce, data + icv, covered)


@dataclass
class EspKey:
    spi: int
    src: str
    dst: str
    esn: bool
    sealed: Sealed
    transport: bool = False
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
    return EspKey(int(entry["spi"], 16), entry["src"], entry["dst"], entry["esn"], sealed, entry.get("mode") == "transport")


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
