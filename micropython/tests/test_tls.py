# wolfssl against itself, over transports in memory, and against the program openssl. Silent if all is well.
import gc
import io
import os
import select
import time
import wolfssl
from tls_pair import End, connect, pair, raises, shake

FOLDER = os.getenv("TMPDIR") or "/tmp"
FOLDER += "/casemate-tls-%d" % time.time_ns()
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


def polled(stream):
    poll = select.poll()
    try:
        poll.register(stream, select.POLLIN)
    except TypeError:
        # The unix port before 1.20 polls file descriptors only.
        return stream.ioctl(3, select.POLLIN)
    return poll.poll(0)[0][1]


def contexts(name="board", mode=wolfssl.CERT_REQUIRED, cadata=None):
    server = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(load(name + ".pem"), load(name + ".key"))
    client = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_CLIENT)
    client.verify_mode = mode
    if cadata:
        client.load_verify_locations(cadata)
    return client, server


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
        assert polled(one) == select.POLLIN
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
        assert polled(one) == 0x20

# One write for a whole ClientHello.
client, server = contexts(mode=wolfssl.CERT_NONE)
one, other, ends = connect(client, server)
assert one.read(1) is None and ends[0].writes == 1

# Looking at a stream that has nothing takes no memory but MicroPython's own object over ours.
assert one.read(1) is None
gc.collect()
gc.disable()
before = gc.mem_alloc()
for _ in range(100):
    assert one.read(1) is None
assert gc.mem_alloc() - before < 100 * 400, gc.mem_alloc() - before
gc.enable()

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
        assert polled(other) == 0x20

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

# Application protocols.
client, server = contexts(mode=wolfssl.CERT_NONE)
client.set_alpn_protocols(["h2", b"http/1.1"])
server.set_alpn_protocols(["http/1.1"])
one, other, ends = connect(client, server)
assert one.selected_alpn_protocol() is None
shake(one, other)
assert one.selected_alpn_protocol() == other.selected_alpn_protocol() == "http/1.1"
server.set_alpn_protocols(("mqtt",))
one, other, ends = connect(client, server)
assert one.read(1) is None
raises(OSError, -405, other.read, 1)
raises(OSError, -313, one.read, 1)
raises(ValueError, "ALPN protocol", client.set_alpn_protocols, [""])
raises(TypeError, None, client.set_alpn_protocols, [1])

# Sessions are resumed, in both versions, until a context changes.
for suite in ("TLS1-3-AES-128-GCM-SHA256", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"):
    client, server = contexts(cadata=load("board.pem"))
    client.set_ciphers([suite])
    for expected in (False, True, True):
        one, other, ends = connect(client, server)
        shake(one, other)
        assert one.session_reused == other.session_reused == expected, (suite, expected)
        assert one.getpeercert(True) == load("board.der")
        # Tickets arrive after the handshake.
        assert one.read(1) is None
    client.verify_mode = wolfssl.CERT_NONE
    client.verify_mode = wolfssl.CERT_REQUIRED
    one, other, ends = connect(client, server)
    shake(one, other)
    assert not one.session_reused

# The program looks at certificates itself.
seen = []


def look(certificate, depth):
    seen.append((depth, bytes(certificate)))
    return 0


client, server = contexts(cadata=load("board.pem"))
server.load_cert_chain(load("leaf.pem"), load("leaf.key"))
client.verify_callback = look
assert client.verify_callback is look
one, other, ends = connect(client, server, hostname="leaf.local")
shake(one, other)
assert [depth for depth, _ in seen] == [1, 0]
assert seen[0][1] == load("board.der") and seen[1][1] == one.getpeercert(True)
client.verify_callback = lambda certificate, depth: depth == 0
fails(-329, client, server, hostname="leaf.local")
client.verify_callback = lambda certificate, depth: 1 // 0
one, other, ends = connect(client, server, hostname="leaf.local")
assert one.read(1) is None and other.read(1) is None
raises(ZeroDivisionError, None, one.read, 1)
raises(OSError, -329, one.read, 1)
# In the optional mode nobody else looks.
seen.clear()
client, _ = contexts(mode=wolfssl.CERT_OPTIONAL)
client.verify_callback = look
one, other, ends = connect(client, server, hostname="nobody.local")
shake(one, other)
assert [depth for depth, _ in seen] == [0]
client.verify_mode = wolfssl.CERT_NONE
one, other, ends = connect(client, server, hostname="nobody.local")
shake(one, other)
assert len(seen) == 1
client.verify_callback = None
# A server's callback sees the client's certificate.
server.verify_mode = wolfssl.CERT_OPTIONAL
server.verify_callback = look
client.load_cert_chain(load("other.pem"), load("other.key"))
one, other, ends = connect(client, server)
shake(one, other)
assert seen[-1][1] == load("other.der") == other.getpeercert(True)

# Addresses.
client, server = contexts(cadata=load("board.pem"))
fails(-325, client, server, hostname="192.0.2.1")
raises(OSError, -322, client.wrap_socket, End(), server_hostname="not a name")

# Numbers of errors with texts, also where a stream raises them.
one, other, ends = connect(*contexts())
one.read(1)
other.read(1)
error = raises(OSError, -275, one.read, 1)
assert error.args[1] == "the certificate is self-signed and not trusted"


# A peer whose answer is there as soon as anything has been sent.
class Quick(End):
    def write(self, data):
        count = super().write(data)
        try:
            self.peer.got += self.peer.session.read(1) or b""
        except OSError:
            pass
        return count


def quick(context, hostname):
    ends = Quick(), End()
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    ends[1].got = b""
    ends[1].session = server.wrap_socket(ends[1], server_side=True, do_handshake_on_connect=False)
    return context.wrap_socket(ends[0], server_hostname=hostname, do_handshake_on_connect=False), ends[1]


# A socket that is not to wait does not wait, and does not fail either, in the call that sent the first part of a handshake:
# it is the next call that looks for the answer, which a poll for either direction announces.
for suite in ("TLS1-3-AES-128-GCM-SHA256", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"):
    for hostname in ("board.local", "else.local"):
        client, server = contexts(cadata=load("board.pem"))
        client.set_ciphers([suite])
        one, other = quick(client, hostname)
        one.setblocking(False)
        assert one.write(b"x") is None and one.cipher() is None
        assert one.ioctl(3, select.POLLOUT) & select.POLLOUT
        if hostname == "else.local":
            raises(OSError, -322, one.write, b"x")
            continue
        # TLS 1.2 has one more part.
        turns = [one.write(b"x"), one.write(b"x")]
        assert turns == ([1, 1] if suite.startswith("TLS1-3") else [None, 1]), turns
        assert b"xx".startswith(other.got) and other.got
        # One that waits does all in one call, and one that waits again, too.
        for before in (True, False):
            one, other = quick(client, hostname)
            if before:
                one.setblocking(False)
                one.setblocking(True)
            assert one.write(b"x") == 1


# A transport that takes some bytes, and then none until it is told so.
class Narrow(End):
    budget = 1000000

    def write(self, data):
        if self.budget == 0:
            return None
        count = super().write(data[: self.budget])
        self.budget -= count
        return count

    def ioctl(self, request, argument):
        answer = super().ioctl(request, argument)
        return answer & ~select.POLLOUT if request == 3 and self.budget == 0 else answer


def narrow():
    client, server = contexts(mode=wolfssl.CERT_NONE)
    ends = Narrow(), Narrow()
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    one = client.wrap_socket(ends[0], server_hostname="board.local", do_handshake_on_connect=False)
    other = server.wrap_socket(ends[1], server_side=True, do_handshake_on_connect=False)
    shake(one, other)
    return one, other, ends


def everything(stream):
    data = b""
    while True:
        piece = stream.read(100)
        if not piece:
            return data
        data += piece


# Nothing is written before the transport has it; then a write with the same bytes reports them, and sends them no second
# time: with the same buffer, with more, or with less.
for again in (b"hello world", b"hello world and more", b"hello"):
    one, other, ends = narrow()
    for budget in (0, 1, 10):
        ends[0].budget = budget
        assert one.write(b"hello world") is None
        assert one.ioctl(3, select.POLLOUT) == 0 and other.read(1) is None
    ends[0].budget = 1000000
    assert one.ioctl(3, select.POLLOUT) == select.POLLOUT
    assert one.write(again) == len(again)
    # What remains of the first bytes is reported as soon as it comes.
    if again == b"hello":
        assert one.write(b" world") == 6
    ends[0].budget = 0
    expected = b"hello world" if len(again) < 11 else again
    assert everything(other) == expected
    one.close()

# The last of many bytes is the peer's as soon as a write has reported it, whatever the transport takes at a time.
for budget in (1, 7, 1000, 20000):
    one, other, ends = narrow()
    message = bytes(i % 251 for i in range(40000 if budget >= 1000 else 400))
    sent, received = 0, b""
    while sent < len(message):
        ends[0].budget = budget
        sent += one.write(memoryview(message)[sent:]) or 0
        assert one.read(1) is None
        received += everything(other)
    ends[0].budget = 0
    received += everything(other)
    assert received == message
    one.close()

# Neither an exception of the transport nor its end makes bytes double; an error is the end.
one, other, ends = narrow()
ends[0].tamper = lambda data: 1 // 0
raises(ZeroDivisionError, None, one.write, b"hello")
ends[0].tamper = None
# What comes next has to begin with the same bytes; others would be lost.
raises(ValueError, None, one.write, b"other")
raises(ValueError, None, one.write, b"hellO world")
assert one.write(b"hello world") == 11 and everything(other) == b"hello world"


def spoil(_):
    # The transport changes the buffer, too.
    data[0] = 0
    return 1 // 0


for shorter in (b"he", b"h"):
    data = bytearray(b"hello")
    ends[0].tamper = spoil
    raises(ZeroDivisionError, None, one.write, data)
    ends[0].tamper = None
    assert one.write(shorter) == len(shorter)
    raises(ValueError, None, one.write, b"other")
    assert one.write(b"hello"[len(shorter) :] + b"!") == 6 - len(shorter)
    assert everything(other) == b"hello!"
ends[0].budget = 10
assert one.write(b"hello") is None


def broken(data):
    raise OSError(32)


ends[0].tamper = broken
ends[0].budget = 10
raises(OSError, 32, one.write, b"hello")
raises(OSError, 32, one.write, b"hello")

# Two that write until nothing goes any more, and only then read.
one, other, ends = narrow()
ends[0].budget = ends[1].budget = 50000
sent = []
for stream in (one, other):
    count = 0
    while True:
        written = stream.write(bytes(10000))
        if written is None:
            break
        count += written
    sent.append(count)
for stream in (one, other):
    # It waits for either direction, and reads although it cannot send.
    received = len(everything(stream))
    assert received >= 30000 and stream.read(1) is None
    assert stream.ioctl(3, select.POLLIN) == 0
for end in ends:
    end.budget = 50000
assert one.ioctl(3, select.POLLIN) & select.POLLIN
for stream in (one, other):
    assert stream.write(bytes(10000)) == 10000

# asyncio over such transports: what was drained before the end has arrived.
try:
    import asyncio
except ImportError:
    asyncio = None
if asyncio and hasattr(select.poll(), "ipoll"):
    for chunk in (50, 3000):
        client, server = contexts(cadata=load("board.pem"))
        one, other, ends = connect(client, server, chunk)
        one.setblocking(False)
        other.setblocking(False)
        message = bytes(i % 251 for i in range(30000))

        async def serve():
            stream = asyncio.StreamWriter(other)
            assert await stream.readline() == b"hello\n"
            stream.write(message)
            await stream.drain()
            await stream.wait_closed()

        async def main():
            task = asyncio.create_task(serve())
            stream = asyncio.StreamWriter(one)
            stream.write(b"hello\n")
            await stream.drain()
            assert await stream.read(-1) == message
            await task

        asyncio.run(main())

# A client that verifies needs a name, whatever side it is said to be on.
client, _ = contexts()
raises(ValueError, "CERT_REQUIRED requires server_hostname", client.wrap_socket, End(), server_side=True)
os.system("rm -rf " + FOLDER)
