#!/usr/bin/env python3
"""Reads the test vectors of docs/protocol.md; section numbers refer to it."""

import hashlib
import hmac
import json
import pathlib
import sys

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


class Tally:
    """Counts checks and names those that fail."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def equal(self, name, actual, expected):
        if actual == expected:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}\n  expected {expected!r}\n  actual   {actual!r}")

    def refused(self, name, error, work):
        try:
            work()
        except error:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: accepted")


class Refused(Exception):
    """The bytes break a rule of the protocol."""


# --- Primitives ---------------------------------------------------------------


def sha384(data):
    return hashlib.sha384(data).digest()


def hkdf_extract(hash_name, salt, secret):
    """RFC 5869 section 2.2; an empty salt stands for zeros."""
    return hmac.digest(salt or bytes(hashlib.new(hash_name).digest_size), secret, hash_name)


def hkdf_expand(hash_name, key, info, size):
    """RFC 5869 section 2.3."""
    output, block, counter = b"", b"", 1
    while len(output) < size:
        block = hmac.digest(key, block + info + bytes([counter]), hash_name)
        output += block
        counter += 1
    return output[:size]


def decode(data):
    """Deterministic CBOR (section 2.1)."""
    value = cbor2.loads(data)
    if cbor2.dumps(value, canonical=True) != data:
        raise Refused("not deterministic")
    return value


def fields(value, *names):
    """The fields of a map that has these and no others."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise Refused(f"fields {sorted(value)}")
    return [value[name] for name in names]


class TestRandom:
    """The random stream of the vectors (section 12)."""

    def __init__(self, seed):
        self.seed = seed.encode()
        self.block = 0
        self.rest = b""

    def take(self, size):
        while len(self.rest) < size:
            self.rest += hashlib.sha512(
                self.seed + b"\0" + self.block.to_bytes(8, "big")
            ).digest()
            self.block += 1
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


# --- HPKE, RFC 9180 (section 6) -----------------------------------------------


class DhkemX25519:
    """DHKEM(X25519, HKDF-SHA256), RFC 9180 section 4.1."""

    name, kem_id, seed_size = "dhkem-x25519", 0x0020, 32
    suite_id = b"KEM" + kem_id.to_bytes(2, "big")

    @classmethod
    def extract(cls, label, secret):
        return hkdf_extract("sha256", b"", b"HPKE-v1" + cls.suite_id + label + secret)

    @classmethod
    def expand(cls, key, label, info, size):
        text = size.to_bytes(2, "big") + b"HPKE-v1" + cls.suite_id + label + info
        return hkdf_expand("sha256", key, text, size)

    @classmethod
    def derive_private(cls, seed):
        """Clamped, as RFC 9180 section 7.1.2 wants it written."""
        private = bytearray(cls.expand(cls.extract(b"dkp_prk", seed), b"sk", b"", 32))
        private[0] &= 248
        private[31] = private[31] & 127 | 64
        return bytes(private)

    @staticmethod
    def public(private):
        return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    @classmethod
    def decapsulate(cls, private, encapsulated):
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(encapsulated)
        )
        context = encapsulated + cls.public(private)
        return cls.expand(cls.extract(b"eae_prk", shared), b"shared_secret", context, 32)


class XWing:
    """X-Wing, draft-connolly-cfrg-xwing-kem; in HPKE by draft-ietf-hpke-pq."""

    name, kem_id, seed_size = "x-wing", 0x647A, 32

    @classmethod
    def derive_private(cls, seed):
        suite_id = b"KEM" + cls.kem_id.to_bytes(2, "big")
        label = b"DeriveKeyPair"
        text = seed + b"HPKE-v1" + suite_id
        text += len(label).to_bytes(2, "big") + label + (32).to_bytes(2, "big")
        return hashlib.shake_256(text).digest(32)

    @staticmethod
    def parts(private):
        expanded = hashlib.shake_256(private).digest(96)
        lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        return lattice, X25519PrivateKey.from_private_bytes(expanded[64:])

    @classmethod
    def public(cls, private):
        lattice, curve = cls.parts(private)
        return lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()

    @classmethod
    def decapsulate(cls, private, encapsulated):
        if len(encapsulated) != 1120:
            raise Refused("size of an encapsulated key")
        lattice, curve = cls.parts(private)
        first, second = encapsulated[:1088], encapsulated[1088:]
        return hashlib.sha3_256(
            lattice.decapsulate(first)
            + curve.exchange(X25519PublicKey.from_public_bytes(second))
            + second
            + curve.public_key().public_bytes_raw()
            + b"\\.//^\\"
        ).digest()


class Hpke:
    """A receiver's context: base mode, HKDF-SHA384, AES-256-GCM."""

    def __init__(self, kem, private, encapsulated, info):
        self.suite_id = b"HPKE" + kem.kem_id.to_bytes(2, "big") + b"\0\x02\0\x02"
        shared = kem.decapsulate(private, encapsulated)
        context = b"\0" + self.extract(b"", b"psk_id_hash", b"")
        context += self.extract(b"", b"info_hash", info)
        secret = self.extract(shared, b"secret", b"")
        self.key = self.expand(secret, b"key", context, 32)
        self.nonce = self.expand(secret, b"base_nonce", context, 12)
        self.exporter = self.expand(secret, b"exp", context, 48)

    def extract(self, salt, label, secret):
        return hkdf_extract("sha384", salt, b"HPKE-v1" + self.suite_id + label + secret)

    def expand(self, key, label, info, size):
        text = size.to_bytes(2, "big") + b"HPKE-v1" + self.suite_id + label + info
        return hkdf_expand("sha384", key, text, size)

    def open_first(self, ciphertext):
        return AESGCM(self.key).decrypt(self.nonce, ciphertext, b"")

    def export(self, context, size):
        return self.expand(self.exporter, b"sec", context, size)


KEMS = {kem.name: kem for kem in (XWing, DhkemX25519)}


# --- Provisioning (sections 4 to 6) -------------------------------------------


def transcript_hash(nonce, claims, evidence, suite):
    transcript = {
        "label": "enarx provision v1",
        "nonce": nonce,
        "claims": claims,
        "evidence": evidence,
        "suite": suite,
    }
    return sha384(cbor2.dumps(transcript, canonical=True))


def open_grant(message, private, nonce, claims, evidence):
    """Gives the grant's fields and the session's secret."""
    version, suite, encapsulated, ciphertext = fields(
        decode(message), "version", "suite", "encapsulated", "ciphertext"
    )
    if version != 1:
        raise Refused("version")
    info = transcript_hash(nonce, claims, evidence, suite)
    context = Hpke(KEMS[suite], private, encapsulated, info)
    grant = decode(context.open_first(ciphertext))
    return grant, context.export(b"enarx session v1", 32)


def provisioning(tally):
    vector = json.loads((VECTORS / "provision.json").read_text())
    nonce, claims, evidence, offer = (
        bytes.fromhex(vector[name]) for name in ("nonce", "claims", "evidence", "offer")
    )
    seeds = vector["seeds"]
    tally.equal("nonce", TestRandom(seeds["nonce"]).take(32), nonce)
    tally.equal("offer", fields(decode(offer), "claims", "evidence"), [claims, evidence])
    said = decode(claims)
    fields(
        said, "version", "platform", "evidence", "runtime", "memory_bytes", "target", "nonce", "keys"
    )
    fields(said["target"], "wasmtime", "triple", "features", "memory")
    target = cbor2.dumps(said["target"], canonical=True)
    tally.equal(
        "target digest", sha384(b"enarx target v1\0" + target).hex(), vector["target_digest"]
    )
    tally.equal("claims.version", said["version"], 1)
    tally.equal("claims.nonce", said["nonce"], nonce)
    report_data = hashlib.sha512(b"enarx claims v1\0" + claims).digest()
    tally.equal("report data", report_data.hex(), vector["report_data"])

    public = {key["suite"]: key["public"] for key in said["keys"]}
    keep_random = TestRandom(seeds["keep_keys"])
    for sealed in vector["sealed"]:
        suite = sealed["suite"]
        kem = KEMS[suite]
        private = bytes.fromhex(sealed["private_key"])
        tally.equal(
            f"{suite} private key", kem.derive_private(keep_random.take(kem.seed_size)), private
        )
        tally.equal(f"{suite} public key", kem.public(private), public[suite])
        tally.equal(
            f"{suite} transcript",
            transcript_hash(nonce, claims, evidence, suite).hex(),
            sealed["transcript_hash"],
        )
        message = bytes.fromhex(sealed["sealed_grant"])
        grant, session = open_grant(message, private, nonce, claims, evidence)
        version, key, digest, floor, application = fields(
            grant, "version", "content_key", "manifest_digest", "time_floor", "application_secret"
        )
        expected = vector["grant"]
        tally.equal(f"{suite} grant version", version, 1)
        tally.equal(f"{suite} content key", key.hex(), expected["content_key"])
        tally.equal(f"{suite} manifest digest", digest.hex(), expected["manifest_digest"])
        tally.equal(f"{suite} time floor", floor, expected["time_floor"])
        tally.equal(f"{suite} application secret", application.hex(), expected["application_secret"])
        extracted = hkdf_extract("sha384", b"enarx application v1", key)
        identity = hkdf_expand("sha384", extracted, digest, 48)
        tally.equal(f"{suite} application identity", identity.hex(), expected["application_identity"])
        tally.equal(f"{suite} session secret", session.hex(), sealed["session_secret"])
        tally.refused(
            f"{suite} grant of another conversation",
            InvalidTag,
            lambda: open_grant(message, private, bytes(32), claims, evidence),
        )
    encapsulated = DhkemX25519.public(
        DhkemX25519.derive_private(TestRandom(seeds["encapsulation"]).take(32))
    )
    message = decode(bytes.fromhex(vector["sealed"][1]["sealed_grant"]))
    tally.equal("dhkem-x25519 encapsulated key", message["encapsulated"], encapsulated)
    program_keys(tally, vector["application"], seeds["owner_secret"])


def program_keys(tally, vector, seed):
    """Section 6.5."""

    def derive(secret, label, context):
        extracted = hkdf_extract("sha384", b"", secret)
        return hkdf_expand("sha384", extracted, label + b"\0" + context, 32)

    owner, application, program = (
        bytes.fromhex(vector[name]) for name in ("owner_secret", "application_secret", "program")
    )
    tally.equal("owner's secret", TestRandom(seed).take(32), owner)
    name = vector["name"].encode()
    tally.equal(
        "application secret", derive(owner, b"enarx application secret v1", name), application
    )
    simulated = derive(owner, b"enarx simulated secret v1", name)
    tally.equal("simulated secret", simulated.hex(), vector["simulated_secret"])
    for key in vector["keys"]:
        context = bytes.fromhex(key["context"])
        of_application = derive(application, b"enarx application key v1", context)
        tally.equal("application key", of_application.hex(), key["application_key"])
        of_program = derive(application, b"enarx program key v1", program + context)
        tally.equal("program key", of_program.hex(), key["program_key"])


# --- Package (section 8) ------------------------------------------------------

CHUNK, TAG, HEADER = 65536, 16, 80


class Stream:
    """Keys and chunks of one package stream."""

    def __init__(self, content_key, salt):
        extracted = hkdf_extract("sha384", salt, content_key)

        def derive(label, size):
            return hkdf_expand("sha384", extracted, label, size)

        self.key = derive(b"enarx package v1 key", 32)
        self.prefix = derive(b"enarx package v1 nonce", 7)
        self.commitment = derive(b"enarx package v1 commitment", 32)
        self.header = b"ENARXPKG" + (1).to_bytes(4, "little") + bytes(4) + salt + self.commitment

    def nonce(self, position, last):
        return self.prefix + position.to_bytes(4, "big") + bytes([last])

    def seal(self, text):
        chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)] or [b""]
        sealed = self.header
        for position, chunk in enumerate(chunks):
            nonce = self.nonce(position, position == len(chunks) - 1)
            sealed += AESGCM(self.key).encrypt(nonce, chunk, self.header)
        return sealed

    def open(self, package):
        if len(package) < HEADER + TAG or package[:HEADER] != self.header:
            raise Refused("header")
        body = package[HEADER:]
        chunks = [body[at : at + CHUNK + TAG] for at in range(0, len(body), CHUNK + TAG)]
        text = b""
        for position, chunk in enumerate(chunks):
            last = position == len(chunks) - 1
            if last and position and len(chunk) == TAG:
                raise Refused("empty last chunk")
            text += AESGCM(self.key).decrypt(self.nonce(position, last), chunk, self.header)
        return text


def entries(text):
    """Manifest bytes, manifest, and the contents of its entries."""
    size = int.from_bytes(text[:4], "little")
    manifest_bytes, rest = text[4 : 4 + size], text[4 + size :]
    manifest = decode(manifest_bytes)
    fields(
        manifest, "version", "name", "workload", "args", "env", "descriptors", "limits", "target",
        "entries",
    )
    contents = []
    for entry in manifest["entries"]:
        path, _, length, digest = fields(entry, "path", "kind", "size", "digest")
        content, rest = rest[:length], rest[length:]
        if len(content) != length:
            raise Refused(f"{path}: size")
        if digest is not None and sha384(content) != digest:
            raise Refused(f"{path}: digest")
        contents.append(content)
    if rest:
        raise Refused("trailing bytes")
    return manifest_bytes, manifest, contents


def packages(tally):
    vectors = json.loads((VECTORS / "package.json").read_text())
    vector = vectors["two_files"]
    stream = Stream(bytes.fromhex(vector["content_key"]), bytes.fromhex(vector["salt"]))
    tally.equal("stream key", stream.key.hex(), vector["stream_key"])
    tally.equal("nonce prefix", stream.prefix.hex(), vector["nonce_prefix"])
    tally.equal("commitment", stream.commitment.hex(), vector["commitment"])
    package = bytes.fromhex(vector["package"])
    text = stream.open(package)
    manifest_bytes, manifest, contents = entries(text)
    tally.equal("manifest", manifest_bytes.hex(), vector["manifest"])
    tally.equal("manifest digest", sha384(manifest_bytes).hex(), vector["manifest_digest"])
    tally.equal("manifest version", manifest["version"], 1)
    tally.equal("workload digest", manifest["workload"]["digest"], sha384(contents[0]))
    tally.equal("contents", [content.hex() for content in contents], vector["contents"])
    tally.equal("sealed again", stream.seal(text), package)
    for place in (0, 20, 60, HEADER, len(package) - 1):
        altered = bytearray(package)
        altered[place] ^= 1
        tally.refused(
            f"altered byte {place}", (InvalidTag, Refused), lambda: stream.open(bytes(altered))
        )
    tally.refused("cut package", (InvalidTag, Refused), lambda: stream.open(package[:-1]))

    vector = vectors["several_chunks"]
    stream = Stream(bytes.fromhex(vector["content_key"]), bytes.fromhex(vector["salt"]))
    manifest_bytes = bytes.fromhex(vector["manifest"])
    pattern = bytes(index * 31 % 251 for index in range(vector["pattern_bytes"]))
    text = len(manifest_bytes).to_bytes(4, "little") + manifest_bytes
    text += bytes.fromhex(vector["program"]) + pattern
    package = stream.seal(text)
    tally.equal("size of several chunks", len(package), vector["package_bytes"])
    tally.equal("digest of several chunks", sha384(package).hex(), vector["package_sha384"])
    tally.equal("several chunks opened", entries(stream.open(package))[2][1], pattern)
    sealed = CHUNK + TAG
    swapped = package[:HEADER] + package[HEADER + sealed : HEADER + 2 * sealed]
    swapped += package[HEADER : HEADER + sealed] + package[HEADER + 2 * sealed :]
    tally.refused("swapped chunks", InvalidTag, lambda: stream.open(swapped))
    cut = package[: HEADER + 2 * sealed]
    tally.refused("stream cut after a chunk", InvalidTag, lambda: stream.open(cut))


# --- Session (section 9) ------------------------------------------------------


class Frames:
    """One direction's cipher."""

    def __init__(self, secret, label, context=b""):
        extracted = hkdf_extract("sha384", b"", secret)
        output = hkdf_expand("sha384", extracted, label + b"\0" + context, 44)
        self.key, self.iv = output[:32], output[32:]

    def open(self, number, header, ciphertext):
        counter = number.to_bytes(12, "big")
        nonce = bytes(a ^ b for a, b in zip(self.iv, counter, strict=True))
        text = AESGCM(self.key).decrypt(nonce, ciphertext, header)
        return text[0], text[1:]


OUTPUT_KINDS = {"stdout": 1, "stderr": 2, "log": 3, "end": 4}
INPUT_KINDS = {"stdin": 1, "stdin-end": 2, "stop": 3}


def session(tally):
    vector = json.loads((VECTORS / "session.json").read_text())
    secret = bytes.fromhex(vector["session_secret"])
    tally.equal("session secret", TestRandom(vector["seed"]).take(32), secret)

    output = Frames(secret, b"enarx output v1")
    for due, expected in enumerate(vector["output"]):
        frame = bytes.fromhex(expected["frame"])
        header, ciphertext = frame[:8], frame[8:]
        number = int.from_bytes(header, "big")
        tally.equal(f"output {due} number", number, due)
        kind, payload = output.open(number, header, ciphertext)
        tally.equal(f"output {due} kind", kind, OUTPUT_KINDS[expected["kind"]])
        if kind == OUTPUT_KINDS["end"]:
            tally.equal("size of the end", len(payload), 8192)
            size = int.from_bytes(payload[:4], "little")
            tally.equal("padding of the end", payload[4 + size :].strip(b"\0"), b"")
            payload = payload[4 : 4 + size]
        tally.equal(f"output {due} payload", payload.hex(), expected["payload"])
    ending = decode(payload)
    fields(ending, "cause", "status", "message")
    tally.equal("ending", ending, vector["ending"])
    tally.refused(
        "renumbered output", InvalidTag, lambda: output.open(0, bytes(8), ciphertext)
    )

    for attachment in vector["input"]:
        epoch, attachment_id = attachment["epoch"], bytes.fromhex(attachment["id"])
        context = epoch.to_bytes(8, "big") + attachment_id
        frames = Frames(secret, b"enarx input v1", context)
        for due, expected in enumerate(attachment["frames"]):
            frame = bytes.fromhex(expected["frame"])
            header, ciphertext = frame[:32], frame[32:]
            name = f"input {epoch} {due}"
            tally.equal(f"{name} header", header, context + due.to_bytes(8, "big"))
            kind, payload = frames.open(due, header, ciphertext)
            tally.equal(f"{name} kind", kind, INPUT_KINDS[expected["kind"]])
            tally.equal(f"{name} payload", payload.hex(), expected["payload"])


def main():
    tally = Tally()
    for part in (provisioning, packages, session):
        try:
            part(tally)
        except (Refused, InvalidTag, KeyError, ValueError) as error:
            tally.failed += 1
            print(f"FAILED {part.__name__}: {type(error).__name__} {error}")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
