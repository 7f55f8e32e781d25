# wolfssl against itself, over transports in memory, and against the program openssl. Silent if all is well.
import gc
import io
import os
import select
import socket
import time
import wolfssl

FOLDER = os.getenv("TMPDIR") or "/tmp"
FOLDER += "/casemate-tls-%d" % time.ticks_us()
os.mkdir(FOLDER)


def shell(command):
    assert os.system("cd %s && { %s\n} >>log 2>&1" % (FOLDER, command)) == 0, command


def make(name, subject, options):
    shell("openssl req -x509 -nodes -keyout %s.key -out %s.pem -subj /CN=%s %s" % (name, name, subject, options))
    shell("openssl x509 -in %s.pem -outform DER -out %s.der" % (name, name))
    shell("openssl pkey -in %s.key -outform DER -out %s.key.der" % (name, name))


def load(name):
    with open("%s/%s" % (FOLDER, name), "rb") as file:
        return file.read()


EC = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 "
make("board", "board.local", EC + "-days 2")
make("other", "board.local", EC + "-days 2")
make("stranger", "stranger.local", EC + "-days 2")
make("rsa", "board.local", "-newkey rsa:2048 -days 2")
# One that has expired.
shell("openssl req -new -nodes %s -keyout old.key -out old.csr -subj /CN=board.local" % EC)
shell("printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=db\\nserial=sn\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nx509_extensions=x\\n[x]\\nsubjectKeyIdentifier=hash\\n[p]\\ncommonName=supplied\\n' >ca.cnf")
shell(
    "touch db && echo 01 >sn && openssl ca -batch -notext -selfsign -config ca.cnf -keyfile old.key -in old.csr"
    " -out old.pem -startdate 200101000000Z -enddate 210101000000Z"
)
make("san", "wrong.local", EC + "-days 2 -addext subjectAltName=DNS:board.local")
# A certificate from an authority.
shell("openssl req -new -nodes %s -keyout leaf.key -out leaf.csr -subj /CN=x -addext subjectAltName=DNS:leaf.local" % EC)
shell("openssl x509 -req -in leaf.csr -CA board.pem -CAkey board.key -CAcreateserial -copy_extensions copy -days 2 -out leaf.pem")


def raises(kind, number, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except kind as error:
        assert number is None or error.args[0] == number, (number, error)
        return error
    raise AssertionError("no %s" % kind)


# One end of a connection in memory. `chunk` bytes at most go through at a time; `limit` bytes are taken in all.
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
            data = self.tamper(data)
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


def contexts(name="board", mode=wolfssl.CERT_REQUIRED, cadata=None):
    server = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(load(name + ".pem"), load(name + ".key"))
    client = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_CLIENT)
    client.verify_mode = mode
    if cadata:
        client.load_verify_locations(cadata)
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


# Handshakes with any size of piece, DER and PEM, EC and RSA, both directions.
for name in ("board", "rsa", "san"):
    for chunk in (100000, 1000, 7, 1) if name == "board" else (100000,):
        client, server = contexts(name, cadata=load(name + ".pem"))
        one, other, ends = connect(client, server, chunk)
        assert one.getpeercert(True) is None and one.cipher() is None
        shake(one, other)
        assert one.getpeercert(True) == load(name + ".der")
        assert other.getpeercert(True) is None
        assert one.cipher() == ("TLS1-3-AES-128-GCM-SHA256", "TLSv1.3")
        if chunk > 1000:
            message = bytes(i % 251 for i in range(40000))
            sent = received = 0
            while received < len(message):
                sent += one.write(message[sent:]) or 0
                piece = other.read(5000)
                if piece:
                    assert piece == message[received : received + len(piece)]
                    received += len(piece)
        assert other.write(b"two\nlines\n") == 10
        assert one.readline() == b"two\n"
        poll = select.poll()
        poll.register(one, select.POLLIN)
        assert poll.poll(0)[0][1] == select.POLLIN
        assert one.read(6) == b"lines\n"
        assert one.setblocking(False) == "transport False"
        raises(NotImplementedError, None, one.getpeercert, False)
        # The end is announced, and seen as an end every time.
        one.close()
        one.close()
        assert ends[0].closed
        assert other.read(1) == b"" and other.read(1) == b""
        raises(OSError, 9, one.read, 1)
        raises(OSError, 9, one.write, b"x")
        raises(OSError, 9, one.setblocking, True)
        assert poll.poll(0)[0][1] == 0x20

# One write for a whole ClientHello.
client, server = contexts(mode=wolfssl.CERT_NONE)
one, other, ends = connect(client, server)
assert one.read(1) is None and ends[0].writes == 1

# Suites.
assert "TLS1-3-AES-256-GCM-SHA384" in client.get_ciphers() and len(client.get_ciphers()) == 6
for suite, version in (
    ("TLS1-3-AES-256-GCM-SHA384", "TLSv1.3"),
    ("TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256", "TLSv1.2"),
    ("TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384", "TLSv1.2"),
):
    client.set_ciphers([suite])
    one, other, ends = connect(client, server)
    shake(one, other)
    assert one.cipher() == (suite, version)
raises(OSError, -500, client.set_ciphers, ["nonsense"])
raises(OSError, -500, client.set_ciphers, [])
raises(TypeError, None, client.set_ciphers, "TLS1-3-AES-256-GCM-SHA384")


# Failures: the client's number, and the server is told.
def fails(number, client, server, hostname="board.local"):
    one, other, ends = connect(client, server, hostname=hostname)
    for _ in range(10):
        try:
            assert one.read(1) is None
        except OSError as error:
            assert error.args[0] == number, (number, error)
            break
        assert other.read(1) is None
    else:
        raise AssertionError("no failure")
    raises(OSError, number, one.read, 1)
    raises(OSError, number, one.write, b"x")
    raises(OSError, -313, other.read, 1)


board = load("board.pem")
fails(-275, *contexts())  # self-signed, nobody trusts it
fails(-275, *contexts("other", cadata=board))
fails(-151, *contexts("old", cadata=load("old.pem")))
fails(-322, *contexts(cadata=board), hostname="else.local")
fails(-322, *contexts("san", cadata=load("san.pem")), hostname="wrong.local")
client, server = contexts(cadata=board)
server.load_cert_chain(load("leaf.pem"), load("leaf.key"))
fails(-322, client, server)
one, other, ends = connect(client, server, hostname="leaf.local")
shake(one, other)
client, _ = contexts(cadata=load("stranger.pem"))
fails(-188, client, server, hostname="leaf.local")
# An authority of the right name with another key.
client, _ = contexts(cadata=load("other.pem"))
fails(-155, client, server, hostname="leaf.local")

# A server without a key; a server that wants a certificate and gets none, a wrong one, the right one.
client, server = contexts(mode=wolfssl.CERT_NONE)
one, other, ends = connect(client, wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_SERVER))
assert one.read(1) is None
raises(OSError, -317, other.read, 1)
server.load_verify_locations(load("other.pem"))
server.verify_mode = wolfssl.CERT_REQUIRED
for name, number in ((None, -345), ("board", -275), ("other", None)):
    client, _ = contexts(mode=wolfssl.CERT_NONE)
    if name:
        client.load_cert_chain(load(name + ".pem"), load(name + ".key"))
    one, other, ends = connect(client, server)
    if number is None:
        shake(one, other)
        assert other.getpeercert(True) == load("other.der")
        continue
    assert one.read(1) is None and other.read(1) is None and one.read(1) is None
    raises(OSError, number, other.read, 1)

# Arguments.
raises(TypeError, None, wolfssl.SSLContext)
raises(AttributeError, None, getattr, client, "nonsense")
raises(AttributeError, None, setattr, client, "nonsense", 1)
client, server = contexts()
raises(ValueError, "CERT_REQUIRED requires server_hostname", client.wrap_socket, End())
raises(ValueError, "invalid key", client.load_cert_chain, board, b"nonsense")
raises(ValueError, "invalid cert", client.load_cert_chain, b"nonsense", load("board.key"))
raises(ValueError, "invalid cert", client.load_verify_locations, b"nonsense")
raises(OSError, "stream operation not supported", wolfssl.wrap_socket, 5)
raises(TypeError, None, wolfssl.wrap_socket, End(), nonsense=1)
raises(TypeError, None, wolfssl.wrap_socket, End(), key=load("board.key.der"))
raises(ValueError, "invalid key", wolfssl.wrap_socket, End(), key=b"!", cert=b"!")
raises(ValueError, "invalid cert", wolfssl.wrap_socket, End(), key=load("board.key.der"), cert=b"!")
assert "SSLContext" in repr(client)

# The older function.
ends = pair()
other = wolfssl.wrap_socket(
    ends[1], server_side=True, key=load("board.key.der"), cert=load("board.der"), do_handshake=False
)
one = wolfssl.wrap_socket(
    ends[0],
    server_hostname="board.local",
    cert_reqs=wolfssl.CERT_REQUIRED,
    cadata=load("board.der"),
    do_handshake=False,
)
shake(one, other)

# Records that were changed, cut off, or are none.
for attack in ("flip", "cut", "noise"):
    client, server = contexts(mode=wolfssl.CERT_NONE)
    one, other, ends = connect(client, server)
    shake(one, other)
    if attack == "flip":
        ends[0].tamper = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        one.write(b"abc")
        raises(OSError, -312, other.read, 1)
        raises(OSError, -313, one.read, 1)
    elif attack == "cut":
        ends[0].closed = True
        raises(OSError, -397, other.read, 1)
    else:
        ends[1].received += b"fooba"
        raises(OSError, -326, other.read, 1)
        poll = select.poll()
        poll.register(other, select.POLLIN)
        assert poll.poll(0)[0][1] == 0x20

# A transport that raises in the middle of a handshake: the exception arrives, and the handshake goes on afterwards.
client, server = contexts(mode=wolfssl.CERT_NONE)
one, other, ends = connect(client, server)


def angry(data):
    ends[0].tamper = None
    raise KeyError("angry")


ends[0].tamper = angry
raises(KeyError, "angry", one.read, 1)
shake(one, other)

# A transport that closes the socket from within.
one, other, ends = connect(client, server)
ends[0].tamper = lambda data: (one.close(), data)[1]
try:
    one.read(1)
except OSError:
    pass
raises(OSError, 9, one.read, 1)

# Collections at any moment, and sockets that nobody closed.
gc.threshold(3000)
for _ in range(30):
    client, server = contexts(mode=wolfssl.CERT_NONE)
    one, other, ends = connect(client, server, 500)
    shake(one, other)
gc.threshold(-1)
del one, other, ends
gc.collect()

# OpenSSL as the server, blocking sockets.
for name, option in (("board", "-tls1_3"), ("board", "-tls1_2"), ("rsa", "-tls1_3"), ("rsa", "-tls1_2")):
    command = "(echo hello; sleep 20) | timeout 20 openssl s_server -accept 127.0.0.1:%d -quiet -naccept 1 %s -cert %s.pem -key %s.key &"
    port = 21500 + time.ticks_us() % 100
    shell(command % (port, option, name, name))
    address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
    for _ in range(100):
        time.sleep(0.1)
        stream = socket.socket()
        try:
            stream.connect(address)
            break
        except OSError:
            stream.close()
    client, _ = contexts(cadata=load(name + ".pem"))
    tls = client.wrap_socket(stream, server_hostname="board.local")
    tls.write(b"casemate\n")
    assert tls.readline() == b"hello\n", (name, option)
    tls.close()
os.system("rm -rf " + FOLDER)
