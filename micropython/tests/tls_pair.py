# Two ends of a connection in memory, and a certificate for tests: for board.local, signed by itself, valid from 2020 until 2046.
import io
import sys
from binascii import unhexlify

try:
    import wolfssl
except ImportError:
    # The benchmark runs with MicroPython's own modules, too.
    import tls as wolfssl

# An emulated device has a hundredth of this machine's speed and memory, and MicroPython's runner gives it ten seconds.
DEVICE = sys.platform != "linux"

CERTIFICATE = unhexlify(
    "3082019a3082013fa003020102021436484a27ddacc96676ef2982eeb50b6c2cba9ac9300a06082a8648ce3d040302301631"
    "14301206035504030c0b626f6172642e6c6f63616c301e170d3230303130313030303030305a170d34363031303130303030"
    "30305a30163114301206035504030c0b626f6172642e6c6f63616c3059301306072a8648ce3d020106082a8648ce3d030107"
    "03420004f3621340ffa2003cdfc45a7d7284859c61d3f547bbef24a2b62378e87ed83b563e49dc7281810036c66673c98e5f"
    "2a56b44395f3e0bcf83e9f681f1fc0a56713a36b3069301d0603551d0e04160414954c2c2fe1b6bf60638ece26e261877c07"
    "18c7c1301f0603551d23041830168014954c2c2fe1b6bf60638ece26e261877c0718c7c1300f0603551d130101ff04053003"
    "0101ff30160603551d11040f300d820b626f6172642e6c6f63616c300a06082a8648ce3d0403020349003046022100ddeaed"
    "5b428f4e9c6457a0d37fa156bbc404c63a8538c7ecdf53d6b94b79d83e022100cb9c3c4c506cdb515f26c5264b431fc7c50b"
    "212dac25876de74c8008feee2274"
)
KEY = unhexlify(
    "307702010104209a0ac5efae0b6c29160187358c4c30195d221725799a7eae2d7f51e82b0be54fa00a06082a8648ce3d0301"
    "07a14403420004f3621340ffa2003cdfc45a7d7284859c61d3f547bbef24a2b62378e87ed83b563e49dc7281810036c66673"
    "c98e5f2a56b44395f3e0bcf83e9f681f1fc0a56713"
)


# One end. `chunk` bytes at most go through at a time.
class End(io.IOBase):
    def __init__(self, chunk=100000):
        self.peer = None
        self.received = b""
        self.chunk = chunk
        self.closed = False
        self.writes = 0
        self.tamper = None

    def readinto(self, buffer):
        if not self.received:
            return 0 if self.peer.closed else None
        count = min(len(buffer), self.chunk, len(self.received))
        buffer[:count] = self.received[:count]
        self.received = self.received[count:]
        return count

    def write(self, data):
        data = bytes(data)[: self.chunk]
        if self.tamper is not None:
            self.peer.received += self.tamper(data)
        else:
            self.peer.received += data
        self.writes += 1
        return len(data)

    def ioctl(self, request, argument):
        if request == 4:
            self.closed = True
        elif request == 3:
            return argument & (4 | (1 if self.received else 0))
        return 0

    def setblocking(self, flag):
        return "transport %s" % flag


def pair(chunk=100000):
    one, other = End(chunk), End(chunk)
    one.peer, other.peer = other, one
    return one, other


# A context for each side, with the certificate above.
def contexts():
    server = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE, KEY)
    client = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(CERTIFICATE)
    return client, server


def connect(client, server, chunk=100000, hostname="board.local"):
    ends = pair(chunk)
    one = client.wrap_socket(ends[0], server_hostname=hostname, do_handshake_on_connect=False)
    other = server.wrap_socket(ends[1], server_side=True, do_handshake_on_connect=False)
    return one, other, ends


# Both ends take turns until the handshake is over.
def shake(one, other):
    for _ in range(20000):
        if one.read(1) is not None or other.read(1) is not None:
            raise AssertionError("data from nowhere")
        if one.cipher() and other.cipher() and one.write(b"a") == 1 and other.read(1) == b"a":
            return
    raise AssertionError("no end of the handshake")


def raises(kind, number, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except kind as error:
        assert number is None or error.args[0] == number, (number, error)
        return error
    raise AssertionError("no %s" % kind)
