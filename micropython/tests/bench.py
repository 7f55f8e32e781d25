# Speed of the modules of the MicroPython that runs this: ours, or its own. `cargo xtask micropython bench` runs both.
#
#     micropython bench.py            prints `name figure unit` lines
#     micropython bench.py PORT ROLE  the other end, started by itself
import os
import socket
import sys
import time

from tls_pair import CERTIFICATE, KEY
from tls_pair import wolfssl as tls

try:
    import wolfcryptolib as cryptolib
    import wolfhashlib as hashlib
except ImportError:
    import cryptolib
    import hashlib

HANDSHAKES = 200
BULK = 96 * 1024 * 1024
RECORD = 16384
PART = 2 * 1024 * 1024


# Of many short runs the best counts: others were interrupted.
def rate(run, size):
    best = 0
    for _ in range(300):
        start = time.ticks_us()
        for _ in range(10):
            run()
        best = max(best, 10 * size / max(1, time.ticks_diff(time.ticks_us(), start)))
    return best  # bytes in a microsecond, which are megabytes in a second


# The best of many parts of a transfer.
class Meter:
    def __init__(self):
        self.best = 0
        self.count = 0
        self.start = time.ticks_us()

    def add(self, count):
        self.count += count
        if self.count >= PART:
            now = time.ticks_us()
            self.best = max(self.best, self.count / time.ticks_diff(now, self.start))
            self.count = 0
            self.start = now


def primitives():
    block = bytes(4096)
    output = bytearray(4096)
    for name in ("sha256", "sha1", "md5"):
        if hasattr(hashlib, name):
            hash = getattr(hashlib, name)()
            print("%s-4KiB %.1f MB/s" % (name, rate(lambda: hash.update(block), 4096)))
    for name, mode in (("ecb", 1), ("cbc", 2), ("ctr", 6)):
        for bits in (128, 256):
            for way in ("encrypt", "decrypt"):
                try:
                    cipher = cryptolib.aes(bytes(bits // 8), mode, bytes(16))
                except ValueError:
                    continue
                run = getattr(cipher, way)
                print("aes%d-%s-%s-4KiB %.1f MB/s" % (bits, name, way, rate(lambda: run(block, output), 4096)))


def server(port, role):
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    listener.listen(5)
    for _ in range(HANDSHAKES + 5 if role == "handshake" else 1):
        stream = context.wrap_socket(listener.accept()[0], server_side=True)
        if role == "handshake":
            stream.write(b"x")
        elif role == "send":
            block = bytes(RECORD)
            for _ in range(BULK // RECORD):
                stream.write(block)
        else:
            block = bytearray(RECORD)
            left = BULK
            while left > 0:
                left -= stream.readinto(block)
            stream.write(b"x")
        stream.close()


def connect(port, context=None):
    address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
    if context is None:
        # With a new context nothing is resumed.
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(CERTIFICATE)
        # The same work for both.
        context.set_ciphers(["TLS1-3-AES-128-GCM-SHA256"])
    for _ in range(100):
        stream = socket.socket()
        try:
            stream.connect(address)
            break
        except OSError:
            stream.close()
            time.sleep_ms(50)
    start = time.ticks_us()
    stream = context.wrap_socket(stream, server_hostname="board.local")
    return stream, start


def start(port, role):
    os.system("%s %s %d %s &" % (os.getenv("BENCH_MICROPYTHON") or sys.executable, sys.argv[0], port, role))


def connections(port):
    start(port, "handshake")
    connect(port)[0].read(1)
    times = []
    for _ in range(HANDSHAKES):
        stream, began = connect(port)
        assert stream.read(1) == b"x"
        times.append(time.ticks_diff(time.ticks_us(), began))
        stream.close()
    times.sort()
    print("handshake-best %.2f ms" % (times[0] / 1000))
    print("handshake-median %.2f ms" % (times[len(times) // 2] / 1000))
    for _ in range(4):
        connect(port)[0].read(1)
    start(port + 1, "send")
    stream, _ = connect(port + 1)
    print("# %s %s" % stream.cipher())
    block = bytearray(RECORD)
    meter = Meter()
    left = BULK
    while left > 0:
        count = stream.readinto(block)
        meter.add(count)
        left -= count
    print("bulk-receive-16KiB %.1f MB/s" % meter.best)
    stream.close()
    start(port + 2, "receive")
    stream, _ = connect(port + 2)
    meter = Meter()
    for _ in range(BULK // RECORD):
        meter.add(stream.write(block))
    assert stream.read(1) == b"x"
    print("bulk-send-16KiB %.1f MB/s" % meter.best)
    stream.close()


if len(sys.argv) == 3:
    server(int(sys.argv[1]), sys.argv[2])
else:
    primitives()
    connections(int(sys.argv[1]) if len(sys.argv) > 1 else 20000 + time.ticks_us() % 20000)
