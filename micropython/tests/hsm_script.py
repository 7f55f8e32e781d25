# What the module casemate does with a server. hsm.py runs it, on unix and on the emulated device, and checks what it prints
# with OpenSSL; what can be compared with wolfcryptolib is compared here.
import sys
from binascii import hexlify

import casemate
import wolfcryptolib
import wolfhashlib

DEVICE = sys.platform != "linux"

if DEVICE:
    import io
    import machine

    # The second serial port of the emulated board, which is connected to the server: a stream written in Python.
    class Uart(io.IOBase):
        DATA, STATE, CTRL, BAUDDIV = 0x40005000, 0x40005004, 0x40005008, 0x40005010

        def __init__(self):
            machine.mem32[self.BAUDDIV] = 16
            machine.mem32[self.CTRL] = 3

        def readinto(self, buffer):
            count = 0
            while count < len(buffer) and machine.mem32[self.STATE] & 2:
                buffer[count] = machine.mem32[self.DATA] & 0xFF
                count += 1
            return count or None

        def write(self, data):
            for byte in data:
                while machine.mem32[self.STATE] & 1:
                    pass
                machine.mem32[self.DATA] = byte
            return len(data)

        def ioctl(self, request, argument):
            return 0

    def connect():
        return Uart()

else:
    import socket

    def connect():
        address = sys.argv[1]
        if "/" in address:
            # Of Unix-domain sockets MicroPython knows the number only: family and path.
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.connect(bytes([socket.AF_UNIX, 0]) + address.encode() + b"\0")
        else:
            host, port = address.split(":")
            stream = socket.socket()
            stream.connect(socket.getaddrinfo(host, int(port))[0][-1])
        return stream

# MicroPython's tool gives up on a device that says nothing for ten seconds.
def progress():
    if DEVICE:
        print("#")


def show(name, *values):
    print(name, *(hexlify(value).decode() for value in values))


def fails(error, number, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except error as caught:
        assert number is None or caught.errno == number, caught
        return caught
    raise AssertionError("no error")


KEY = bytes(range(16))
IV = bytes(range(16, 32))
DATA = bytes(index * 7 & 0xFF for index in range(64 if DEVICE else 5000))
BLOCKS = DATA[: len(DATA) & ~15]
# The clock of the emulated device counts looks at it; without time, it waits as long as it takes.
hsm = casemate.Client(connect(), 3, timeout=None if DEVICE else 60000)
assert hsm.server_id == 57
hsm.echo(b"are you there?")

progress()
# Random numbers.
assert hsm.random(0) == b""
assert len(hsm.random(3000)) == 3000 and hsm.random(16) != hsm.random(16)

progress()
# AES, beside wolfcryptolib.
key = hsm.import_key(KEY, label="script")
assert 0 < key.id < 256
for mode in (casemate.MODE_ECB, casemate.MODE_CBC, casemate.MODE_CTR):
    iv = None if mode == casemate.MODE_ECB else IV
    mine = lambda: wolfcryptolib.aes(KEY, mode, iv)
    expected = mine().encrypt(BLOCKS)
    assert key.aes(mode, iv).encrypt(BLOCKS) == expected, mode
    assert key.aes(mode, iv).decrypt(expected) == BLOCKS, mode
    # In two parts, and in place.
    cipher = key.aes(mode, iv)
    buffer = bytearray(BLOCKS)
    part = memoryview(buffer)[:48]
    assert cipher.encrypt(part, part) is part
    rest = memoryview(buffer)[48:]
    cipher.encrypt(rest, rest)
    assert buffer == expected, mode
    fails(ValueError, None, cipher.decrypt, BLOCKS)
cipher = key.aes(casemate.MODE_CTR, IV)
assert b"".join(cipher.encrypt(DATA[at : at + 7]) for at in range(0, 63, 7)) == wolfcryptolib.aes(KEY, 6, IV).encrypt(DATA[:63])
# Keystream is wiped when a cipher is given up.
try:
    import uctypes
except ImportError:
    uctypes = None
keystream = wolfcryptolib.aes(KEY, 6, IV).encrypt(bytes(16))
cipher = key.aes(casemate.MODE_CTR, IV)
cipher.encrypt(b"a")
assert not uctypes or keystream in uctypes.bytes_at(id(cipher), 80)
cipher.__del__()
cipher.__del__()
assert not uctypes or keystream[:4] not in uctypes.bytes_at(id(cipher), 80)
fails(ValueError, None, cipher.encrypt, b"a")
fails(ValueError, None, key.aes, 5)
fails(ValueError, None, key.aes, casemate.MODE_CBC)
fails(ValueError, None, key.aes(casemate.MODE_ECB).encrypt, b"no block")

gcm = key.aes_gcm()
sealed = gcm.encrypt(IV[:12], DATA[:100], b"header")
assert sealed == wolfcryptolib.aes_gcm(KEY).encrypt(IV[:12], DATA[:100], b"header")
assert gcm.decrypt(IV[:12], sealed, b"header") == DATA[:100]
assert key.aes_gcm(12).encrypt(IV[:12], b"") == wolfcryptolib.aes_gcm(KEY, 12).encrypt(IV[:12], b"")
fails(ValueError, None, gcm.decrypt, IV[:12], sealed, b"other")
fails(ValueError, None, gcm.decrypt, IV[:12], b"short")
fails(ValueError, None, gcm.encrypt, IV[:12], bytes(2000))  # longer than a packet

for length in (0, 1, 16, 100, len(DATA)):
    assert key.cmac(DATA[:length]) == wolfcryptolib.cmac(KEY, DATA[:length]), length
assert key.cmac(b"abc", 4) == wolfcryptolib.cmac(KEY, b"abc")[:4]

progress()
# Keys: identifiers, flags, what is stored and what is not.
fails(casemate.Error, -2101, key.export)
exportable = hsm.import_key(KEY, flags=casemate.ENCRYPT, id=200)
assert exportable.id == 200 and exportable.export() == KEY
refused = fails(casemate.Error, -2009, exportable.cmac, b"")
assert isinstance(refused, OSError) and "usage" in refused.args[1]
exportable.erase()
fails(casemate.Error, -2104, exportable.export)
stored = hsm.generate_key(32, label="stored")
stored.commit()
stored.evict()
assert len(hsm.key(stored.id).aes(casemate.MODE_ECB).encrypt(bytes(16))) == 16
listed = [entry for entry in hsm.nvm_list() if entry[3] == b"stored"]
assert len(listed) == 1 and listed[0][1] == 32, listed
stored.revoke()
fails(OSError, -2009, stored.aes(casemate.MODE_ECB).encrypt, bytes(16))

progress()
# Signatures, which OpenSSL verifies, too.
names = ("p256",) if DEVICE else ("p256", "p384", "p521", "ed25519")
for name in names:
    key = hsm.generate_key(name)
    assert key.algorithm == name
    # As another program finds it.
    key = hsm.key(key.id)
    signature = key.sign(DATA[:50])
    assert key.verify(DATA[:50], signature)
    assert not key.verify(DATA[:51], signature)
    assert not key.verify(DATA[:50], b"nonsense")
    assert key.algorithm == name
    show(name, key.public(), signature, DATA[:50])
    if name == "p256":
        digest = wolfhashlib.sha256(DATA[:50]).digest()
        assert key.verify(digest, key.sign(digest, prehashed=True), prehashed=True)
        fails(ValueError, None, key.sign, b"", prehashed=True)
        fails(ValueError, None, key.sign, b"", pss=True)
    fails(casemate.Error, -2101, key.export)
    key.erase()
if not DEVICE:
    key = hsm.generate_key("rsa", 2048)
    for pss in (False, True):
        signature = key.sign(DATA, "sha384", pss=pss)
        assert key.verify(DATA, signature, "sha384", pss=pss)
        assert not key.verify(DATA[1:], signature, "sha384", pss=pss)
        assert not key.verify(DATA, signature, "sha256", pss=pss)
        assert not key.verify(DATA, signature, "sha384", pss=not pss)
        assert not key.verify(DATA, b"\xff" * 256, "sha384", pss=pss)
        show("rsa-pss" if pss else "rsa", key.public(), signature, DATA)
    key.erase()

progress()
# Key agreement: both sides here, and one of them as OpenSSL sees it.
for name in ("p256",) if DEVICE else ("p256", "p384", "x25519"):
    ours = hsm.generate_key(name)
    other = hsm.generate_key(name, flags=casemate.DERIVE)
    secret = ours.ecdh(other.public())
    assert secret == other.ecdh(ours.public())
    if name != "x25519":
        show("ecdh", other.export(), ours.public(), secret)
    fails(ValueError, None, ours.ecdh, b"no key")
    ours.erase()
    other.erase()

progress()
# Counters and objects.
assert hsm.counter_init(9, 4294967290) == 4294967290
assert hsm.counter_increment(9) == 4294967291 == hsm.counter_read(9)
hsm.counter_destroy(9)
fails(casemate.Error, -2104, hsm.counter_read, 9)
large = bytes(index & 0xFF for index in range(1000))
hsm.nvm_write(0x77, large, label="an object")
assert hsm.nvm_read(0x77) == large
assert (0x77, 1000, 0, b"an object") in hsm.nvm_list()
hsm.nvm_destroy(0x77)
fails(casemate.Error, -2104, hsm.nvm_read, 0x77)

progress()
# TLS between two ends of this program: the server's private key is in the HSM, over the stream above.
try:
    import wolfssl
    import tls_pair
except ImportError:
    wolfssl = None  # a build without it
if wolfssl:
    key = hsm.import_key(tls_pair.KEY)

    def contexts():
        client, server = tls_pair.contexts()
        server.load_cert_chain(tls_pair.CERTIFICATE, key)
        return client, server

    def converse():
        one, other, ends = tls_pair.connect(*contexts())
        tls_pair.shake(one, other)
        progress()
        one.close()
        other.close()

    converse()
    # Keys of the server and of the program take turns; a socket keeps the one that it was made with.
    client, server = contexts()
    one, other, ends = tls_pair.connect(client, server)
    server.load_cert_chain(tls_pair.CERTIFICATE, tls_pair.KEY)
    second = tls_pair.connect(client, server)
    tls_pair.shake(one, other)
    progress()
    tls_pair.shake(second[0], second[1])
    progress()
    # A key that may not sign, or is not the certificate's.
    mute = hsm.import_key(tls_pair.KEY, flags=casemate.VERIFY)
    server.load_cert_chain(tls_pair.CERTIFICATE, mute)
    one, other, ends = tls_pair.connect(client, server)
    fails(casemate.Error, -2009, tls_pair.shake, one, other)
    fails(OSError, None, other.read, 1)
    other.close()
    fails(OSError, -397, one.read, 1)
    progress()
    mute.erase()
    another = hsm.generate_key("p256")
    fails(ValueError, None, server.load_cert_chain, tls_pair.CERTIFICATE, another)
    fails(ValueError, None, server.load_cert_chain, b"no certificate", key)
    another.erase()
    fails(casemate.Error, -2104, server.load_cert_chain, tls_pair.CERTIFICATE, another)
    # A key that is gone when it is needed.
    server.load_cert_chain(tls_pair.CERTIFICATE, key)
    one, other, ends = tls_pair.connect(client, server)
    key.erase()
    fails(casemate.Error, -2104, tls_pair.shake, one, other)
    progress()
    key = hsm.import_key(tls_pair.KEY)
    # Every allocation of a connection fails in turn: the client goes on, and nothing stays behind.
    if not DEVICE and hasattr(wolfssl, "_fail_after"):
        import gc

        client = server = one = other = ends = second = None
        count, done = 0, False
        while not done:
            wolfssl._fail_after(count)
            try:
                converse()
                done = True
            except MemoryError:
                pass
            except OSError as error:
                # The other end may be the one that memory was missing for.
                assert error.args[0] in (-397, -313, 12), error
            wolfssl._fail_after(-1)
            hsm.echo(b"still here")
            count += 7
        assert count > 100, count
        converse()
        gc.collect()
        gc.collect()
        # Of sockets in no one's hands, the last may still be seen on the stack.
        assert wolfssl._usage()[0] < 100, wolfssl._usage()
    key.erase()

progress()
# Memory that runs out at any point: an exception, and the next request goes as if nothing had been.
if not DEVICE:
    # Names first: the table of them may have to grow.
    hoard, done, failed, size, _ = None, 0, 0, 0, 0
    for size in (16384, 1024, 128):
        try:
            while True:
                hoard = [hoard, bytearray(size)]
        except MemoryError:
            pass
    while not done:
        # What needs no memory goes on.
        hsm.echo(b"still here")
        try:
            done = len(hsm.random(600))
        except MemoryError:
            # Twice as much comes back each time.
            for _ in range(1 << failed):
                hoard = hoard and hoard[0]
            failed += 1
    hoard = None
    assert done == 600 and failed > 0

progress()
# Wrong arguments are found here.
fails(ValueError, None, hsm.key, 0)
fails(ValueError, None, hsm.generate_key, "p999")
fails(ValueError, None, hsm.import_key, b"")
fails(ValueError, None, hsm.import_key, KEY, label="a label of more than 24 characters")
fails(TypeError, None, hsm.import_key, KEY, flags="all")
fails(ValueError, None, hsm.echo, bytes(5000))
fails(casemate.Error, -2302, hsm.login, "somebody", b"1234")
hsm.close()
hsm.close()
fails(OSError, 9, hsm.random, 1)
print("done")
