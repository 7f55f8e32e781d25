# Figures of an emulated Cortex-M3: instructions and memory. Needs QEMU's `-icount shift=0`, with which the timer counts
# instructions: one tick is 40 of them.
import gc
import machine
import wolfcryptolib
import wolfhashlib
import wolfssl
from tls_pair import connect, contexts

CONTROL, RELOAD, VALUE = 0xE000E010, 0xE000E014, 0xE000E018
machine.mem32[RELOAD] = 0xFFFFFF
machine.mem32[VALUE] = 0
machine.mem32[CONTROL] = 5


def instructions(function):
    start = machine.mem32[VALUE]
    function()
    return (start - machine.mem32[VALUE] & 0xFFFFFF) * 40


nothing = instructions(lambda: None)
block = bytes(4096)
output = bytearray(4096)
for name in ("sha256", "sha1", "md5"):
    hash = getattr(wolfhashlib, name)()
    print("%s-4KiB %.1f instructions/byte" % (name, (instructions(lambda: hash.update(block)) - nothing) / 4096))
for name, mode in (("ecb", 1), ("cbc", 2), ("ctr", 6)):
    aes = wolfcryptolib.aes(bytes(16), mode, bytes(16))
    count = instructions(lambda: aes.encrypt(block, output)) - nothing
    print("aes128-%s-4KiB %.1f instructions/byte" % (name, count / 4096))
del block, output
gc.collect()


def used():
    return wolfssl._usage()[1]


wolfssl._usage()
client, server = contexts()
print("contexts %d bytes" % used())
before = used()
one, other, ends = connect(client, server)
print("two-sessions-new %d bytes" % (used() - before))
counts = [0, 0]
for _ in range(10):
    counts[0] += instructions(lambda: one.read(1))
    counts[1] += instructions(lambda: other.read(1))
    if one.cipher() and other.cipher():
        break
one.write(b"a")
other.read(1)
print("handshake-client %.1f million instructions" % (counts[0] / 1e6))
print("handshake-server %.1f million instructions" % (counts[1] / 1e6))
_, now, peak = wolfssl._usage()
print("two-sessions-peak %d bytes" % (peak - before))
print("two-sessions-open %d bytes" % (now - before))
