# The behaviour of wolfhashlib and wolfcryptolib that MicroPython's own tests do not cover. Silent if all is well.
import gc
import array
from binascii import hexlify, unhexlify
import wolfhashlib
import wolfcryptolib


def raises(kind, text, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        assert text is None or str(error) == text, (text, error)
        return
    raise AssertionError("no %s: %s%s" % (kind, function, arguments))


# FIPS 180-4 and FIPS 202 digests of "abc", shortened.
for name, size, block, start in (
    ("md5", 16, 64, "900150983cd24fb0"),
    ("sha1", 20, 64, "a9993e364706816a"),
    ("sha224", 28, 64, "23097d223405d822"),
    ("sha256", 32, 64, "ba7816bf8f01cfea"),
    ("sha384", 48, 128, "cb00753f45a35e8b"),
    ("sha512", 64, 128, "ddaf35a193617aba"),
    ("sha3_224", 28, 144, "e642824c3f8cf24a"),
    ("sha3_256", 32, 136, "3a985da74fe225b2"),
    ("sha3_384", 48, 104, "ec01498288516fc9"),
    ("sha3_512", 64, 72, "b751850b1a57168a"),
):
    kind = getattr(wolfhashlib, name)
    assert kind.digest_size == size and kind.block_size == block and kind.name == name
    assert repr(kind()) == "<%s>" % name
    for data in (b"abc", "abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], array.array("b", b"abc")):
        assert kind(data).hexdigest()[:16] == start
    hash = kind()
    assert hash.update(b"a") is None
    other = hash.copy()
    hash.update(b"bc")
    other.update(b"bc")
    digest = hash.digest()
    assert type(digest) is bytes and len(digest) == size and digest == other.digest()
    raises(ValueError, "hash is final", hash.digest)
    raises(ValueError, "hash is final", hash.hexdigest)
    raises(ValueError, "hash is final", hash.update, b"")
    raises(ValueError, "hash is final", hash.copy)
    raises(TypeError, None, kind, 1)
    raises(TypeError, None, kind, b"", b"")
    raises(TypeError, None, kind().update, None)
    raises(TypeError, "no length allowed", kind().digest, 4)

for name, start in (("shake_128", "5881092dd818bf5c"), ("shake_256", "483366601360a877")):
    kind = getattr(wolfhashlib, name)
    assert kind(b"abc").hexdigest(8) == start
    assert kind(b"abc").digest(1000)[:8] == unhexlify(start)
    assert kind(b"abc").digest(0) == b""
    raises(TypeError, "length required", kind().digest)
    raises(ValueError, "output length", kind().digest, -1)
    raises(MemoryError, None, kind().digest, 1 << 40)

# AES: the checks of the constructor, in their order.
aes = wolfcryptolib.aes
ECB, CBC, CTR = wolfcryptolib.MODE_ECB, wolfcryptolib.MODE_CBC, wolfcryptolib.MODE_CTR
assert (ECB, CBC, CTR) == (1, 2, 6)
key, iv = b"k" * 16, b"i" * 16
raises(TypeError, None, aes, key)
raises(TypeError, None, aes, key, "1")
raises(ValueError, "mode", aes, 1, 3)
raises(TypeError, None, aes, 1, ECB)
raises(ValueError, "key", aes, b"k" * 24, CBC)
raises(ValueError, "IV", aes, key, CBC)
raises(ValueError, "IV", aes, key, CTR, None)
raises(ValueError, "IV", aes, key, ECB, b"short")
aes(key, ECB, iv)
assert repr(aes(key, ECB)) == "<aes>"

for mode in (ECB, CBC, CTR):
    for size in (16, 32):
        make = lambda: aes(b"k" * size, mode, iv)
        plain = bytes(range(64))
        secret = make().encrypt(plain)
        assert make().decrypt(secret) == plain
        # In place, into a longer buffer, and to an overlapping place.
        work = bytearray(plain)
        assert make().encrypt(work, work) is work and work == secret
        work = bytearray(b"x" * 70)
        make().encrypt(plain, work)
        assert work[:64] == secret and work[64:] == b"xxxxxx"
        work = bytearray(plain + b"y" * 8)
        make().encrypt(memoryview(work)[:64], memoryview(work)[8:])
        assert work[8:] == secret
        # Chaining.
        cipher = make()
        assert cipher.encrypt(plain[:16]) + cipher.encrypt(b"") + cipher.encrypt(plain[16:]) == secret
        raises(ValueError, "can't encrypt & decrypt", cipher.decrypt, secret)
        raises(ValueError, "output too small", make().encrypt, plain, bytearray(63))
        raises(TypeError, None, make().encrypt, plain, bytes(64))
        raises(TypeError, None, make().encrypt, 5)
        if mode != CTR:
            raises(ValueError, "blksize % 16", make().encrypt, b"x" * 15)
        else:
            cipher = make()
            assert b"".join(cipher.encrypt(plain[i : i + 1]) for i in range(64)) == secret

# Authenticated encryption: NIST GCM specification, test case 4, and RFC 3610, packet vector 1.
gcm = wolfcryptolib.aes_gcm(unhexlify("feffe9928665731c6d6a8f9467308308"))
nonce = unhexlify("cafebabefacedbaddecaf888")
aad = unhexlify("feedfacedeadbeeffeedfacedeadbeefabaddad2")
plain = unhexlify(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
secret = gcm.encrypt(nonce, plain, aad)
assert hexlify(secret).decode().endswith("3d58e0915bc94fbc3221a5db94fae95ae7121a47")
assert gcm.decrypt(nonce, secret, aad) == plain
raises(ValueError, "authentication failed", gcm.decrypt, nonce, secret)
raises(ValueError, "authentication failed", gcm.decrypt, nonce, secret[:-1], aad)
raises(ValueError, "authentication failed", gcm.decrypt, nonce, b"short", aad)
raises(ValueError, "IV", gcm.encrypt, b"", plain)
ccm = wolfcryptolib.aes_ccm(unhexlify("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"), 8)
nonce = unhexlify("00000003020100a0a1a2a3a4a5")
secret = ccm.encrypt(nonce, bytes(range(8, 31)), bytes(range(8)))
assert hexlify(secret).decode() == "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"
assert ccm.decrypt(nonce, secret, bytes(range(8))) == bytes(range(8, 31))
raises(ValueError, "key", wolfcryptolib.aes_gcm, b"k" * 15)
raises(ValueError, "tag length", wolfcryptolib.aes_gcm, key, 3)
raises(ValueError, "tag length", wolfcryptolib.aes_ccm, key, 5)

# RFC 4231, RFC 4493, RFC 5869, RFC 6070.
assert hexlify(wolfcryptolib.hmac("sha256", b"Jefe", b"what do ya want for nothing?")).decode()[:16] == "5bdcc146bf60754e"
assert hexlify(wolfcryptolib.cmac(unhexlify("2b7e151628aed2a6abf7158809cf4f3c"), b"")).decode() == "bb1d6929e95937287fa37d129b756746"
assert hexlify(wolfcryptolib.hkdf("sha256", b"\x0b" * 22, b"", b"", 42)).decode()[:16] == "8da4e775a563c18f"
assert hexlify(wolfcryptolib.pbkdf2_hmac("sha1", b"password", b"salt", 2)).decode() == "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"
assert len(wolfcryptolib.pbkdf2_hmac("sha256", b"password", b"salt", 1, 100)) == 100
raises(ValueError, "unsupported algorithm", wolfcryptolib.hmac, "sha999", b"", b"")
raises(ValueError, "output length", wolfcryptolib.hkdf, "sha256", b"", b"", b"", 255 * 32 + 1)
raises(ValueError, "output length", wolfcryptolib.pbkdf2_hmac, "sha256", b"", b"", 1, 0)
raises(ValueError, "iterations", wolfcryptolib.pbkdf2_hmac, "sha256", b"", b"", 0)

# Objects survive collections.
gc.threshold(1000)
hash = wolfhashlib.sha256()
for _ in range(300):
    hash.update(b"abcd")
    hash = hash.copy()
    wolfhashlib.sha512(bytes(100)).digest()
gc.threshold(-1)
assert hash.digest() == wolfhashlib.sha256(b"abcd" * 300).digest()

# Keys are wiped when an object is given up, by hand or by the collector.
try:
    import uctypes
except ImportError:
    uctypes = None
KEY = bytes(range(100, 132))
addresses = []


def make_and_forget():
    for make in (
        lambda: wolfcryptolib.aes(KEY, 1),
        lambda: wolfcryptolib.aes_gcm(KEY),
        lambda: wolfcryptolib.aes_ccm(KEY),
    ):
        one = make()
        assert not uctypes or KEY in uctypes.bytes_at(id(one), 56)
        one.__del__()
        one.__del__()
        assert not uctypes or KEY[:4] not in uctypes.bytes_at(id(one), 56)
        raises(ValueError, "key", one.encrypt, bytes(16), bytearray(16))
        raises(ValueError, "key", one.decrypt, bytes(16), bytearray(16))
        for _ in range(20):
            addresses.append(id(make()) ^ 1)


make_and_forget()
if uctypes:
    gc.collect()
    # The collector looks into the stack, where old references may lie around.
    left = sum(KEY in uctypes.bytes_at(address ^ 1, 56) for address in addresses)
    assert left < 10, left
