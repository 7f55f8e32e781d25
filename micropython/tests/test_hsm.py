# The module casemate with a server that is written here, as a stream: one that cuts its answers, keeps silent, repeats
# itself and answers nonsense; and what happens when memory runs out. Silent if all is well.
import errno
import gc
import io
import struct
import sys

try:
    import casemate
except ImportError:
    raise SystemExit  # a build without it

DEVICE = sys.platform != "linux"

# MicroPython's tool gives up on a device that says nothing for ten seconds.
def progress():
    if DEVICE:
        print("#")


# A server that knows INIT, INFO, CLOSE, ECHO and random numbers.
class Server(io.IOBase):
    def __init__(self, chunk=100000):
        self.received = b""
        self.answers = b""
        self.chunk = chunk  # bytes that go through at a time
        self.pauses = 0  # reads that bring nothing, before each that does
        self.pause = 0
        self.silent = False
        self.ended = False
        self.change = None  # what becomes of an answer
        self.raising = None
        self.last = b""

    def readinto(self, buffer):
        if self.raising:
            raise self.raising
        if self.pause:
            self.pause -= 1
            return None
        self.pause = self.pauses
        if not self.answers:
            return 0 if self.ended else None
        count = min(len(buffer), self.chunk, len(self.answers))
        buffer[:count] = self.answers[:count]
        self.answers = self.answers[count:]
        return count

    def write(self, data):
        if self.raising:
            raise self.raising
        if self.pause:
            self.pause -= 1
            return None
        self.pause = self.pauses
        data = bytes(data)[: self.chunk]
        self.received += data
        while len(self.received) >= 4:
            end = 4 + struct.unpack(">I", self.received)[0]
            if len(self.received) < end:
                break
            self.request(self.received[4:end])
            self.received = self.received[end:]
        return len(data)

    def request(self, packet):
        magic, kind, sequence, rest = struct.unpack("<HHHH", packet)
        payload = packet[8:]
        if kind == 0x0101:
            answer = payload[:4] + struct.pack("<I", 57)
        elif kind == 0x0104:
            answer = struct.pack("<12I", 1280, 32, 9, 256, 3, 1280, 6, 10, 1, 2, 3, 4) + b"01.01.01\0" + bytes(15)
        elif kind == 0x0105 or kind == 0x0103:
            answer = payload
        elif kind == 0x0404:
            length = struct.unpack("<I", payload[12:])[0]
            answer = struct.pack("<IiII", 4, 0, 0, length) + bytes(index & 0xFF for index in range(length))
        else:
            answer = b""
        self.last = payload
        if not self.silent:
            packet = struct.pack("<HHHH", magic, kind, sequence, 0) + answer
            frame = struct.pack(">I", len(packet)) + packet
            self.answers += self.change(frame) if self.change else frame

    def ioctl(self, request, argument):
        return 0


def fails(error, number, function, *arguments):
    try:
        function(*arguments)
    except error as caught:
        assert number is None or caught.args[0] == number, caught
        return caught
    raise AssertionError("no error")


# A request that the server does not answer. The others have as long as they need.
def times_out(hsm, data):
    hsm.timeout = 50
    fails(OSError, errno.ETIMEDOUT, hsm.echo, data)
    hsm.timeout = None


def connect(**keywords):
    server = Server()
    return server, casemate.Client(server, 1, **keywords)


# Bytes that go through one at a time, and pauses between them.
server = Server(1)
server.pauses = 1
hsm = casemate.Client(server, 15)
assert hsm.server_id == 57
for length in (1, 200) if DEVICE else (1, 200, 1000, 5000):
    assert len(hsm.random(length)) == length
hsm.echo(b"x" * 100)
hsm.close()
fails(OSError, errno.EBADF, hsm.random, 1)

progress()
# The payload of a packet is as large as the smaller of the two sides says.
for data_length in (256, 1280, 8192):
    server, hsm = connect(data_length=data_length)
    hsm.echo(bytes(min(data_length, 1280)))
    fails(ValueError, None, hsm.echo, bytes(min(data_length, 1280) + 1))
for wrong in (0, 255, 65536):
    fails(ValueError, None, lambda: casemate.Client(Server(), data_length=wrong))
for wrong in (0, 16):
    fails(ValueError, None, casemate.Client, Server(), wrong)
fails(OSError, None, casemate.Client, 5)

progress()
# A server that keeps silent: the request ends after a time, and its late answer is no other request's.
server, hsm = connect(timeout=60000)
assert hsm.timeout == 60000
server.silent = True
times_out(hsm, b"first")
assert hsm.timeout is None
server.silent = False
hsm.echo(b"second")
assert server.last == b"second"
# An answer that stops in the middle is read to its end before the next request leaves.
held = []
server.change = lambda frame: held.append(frame[20:]) or frame[:20]
times_out(hsm, bytes(range(50)))
server.change = None
times_out(hsm, b"too early")
assert server.last == bytes(range(50))
server.answers += held[0]
hsm.echo(b"third")
assert server.last == b"third"
# The program's buffer gets other memory while that is read: the request has its bytes nevertheless, or is refused.
if not DEVICE:
    read = server.readinto

    def meanwhile(change):
        def readinto(buffer):
            if server.answers is held:
                server.answers = held[0]
                change()
            return read(buffer)

        return readinto

    data = bytearray(range(200))
    kept = []

    def extend():
        data.extend(bytes(5000))
        kept.extend(b"\xff" * length for length in range(16, 1024, 16))

    def shorten():
        data[:] = b""

    for change in (extend, shorten):
        held = []
        server.change = lambda frame: held.append(frame[20:]) or frame[:20]
        times_out(hsm, bytes(50))
        server.change = None
        server.answers = held
        server.readinto = meanwhile(change)
        if change is extend:
            hsm.echo(data)
            assert server.last == bytes(range(200)) and len(data) == 5200
            data = bytearray(range(200))
        else:
            fails(ValueError, None, hsm.echo, data)
            hsm.echo(b"x")
        server.readinto = read

progress()
# A server that repeats itself, or answers what nobody asked.
server, hsm = connect()
server.change = lambda frame: frame * 3
for word in (b"one", b"two", b"three"):
    hsm.echo(word)
server.change = lambda frame: frame[:8] + bytes([frame[8] ^ 0x55]) + frame[9:] + frame
hsm.echo(b"four")
# Without end, it comes to an end nevertheless.
server, hsm = connect(timeout=None)


class Endless:
    def __init__(self, frame):
        self.frame = frame

    def __call__(self, buffer):
        part = self.frame[: len(buffer)]
        buffer[: len(part)] = part
        self.frame = self.frame[len(part) :] + part
        return len(part)


server.change = lambda frame: b""
server.readinto = Endless(b"\0\0\0\x08\x01\xa5\x05\x01\x77\x77\0\0")
if not DEVICE:
    times_out(hsm, b"stale answers")

progress()
# Nonsense inside a packet is the request's failure only; a length that no packet has ends the connection.
server, hsm = connect()
damages = (
    lambda frame: frame[:4] + b"\xa5\x01" + frame[6:],  # another byte order
    lambda frame: frame[:4] + b"HT" + frame[6:],
    lambda frame: frame[:6] + b"\x04\x01" + frame[8:],  # of another kind
    lambda frame: frame[:-1] + b"!",
    lambda frame: b"\0\0\0\x08" + frame[4:12],
)
for damage in damages:
    server.change = damage
    fails(casemate.Error, -2002, hsm.echo, b"what comes back is something else")
    server.change = None
    hsm.echo(b"and well again")
server.change = lambda frame: frame[:4] + frame[4:12] + struct.pack("<Ii", 4, -199) + bytes(len(frame) - 20)
fails(casemate.Error, -199, hsm.random, 16)
server.change = None
for length in (0, 7, 1289, 0x7FFFFFFF, 0xFFFFFFFF):
    server, hsm = connect()
    server.change = lambda frame: struct.pack(">I", length) + frame[4:]
    fails(OSError, errno.ECONNRESET, hsm.echo, b"x")
    server.change = None
    fails(OSError, errno.ECONNRESET, hsm.echo, b"x")
    hsm.close()

progress()
# Every answer cut short, and every byte of it changed: an error or the truth, and never anything else. The longest answer
# has 84 bytes.
def outcome(server):
    try:
        # What has arrived counts, however slow the machine: the time is for what never comes.
        hsm = casemate.Client(server, timeout=20)
        hsm.echo(b"abc")
        assert len(hsm.random(20)) == 20
        return None
    except OSError as error:
        return error.args[0]


for at in range(0, 90, 9 if DEVICE else 1):
    server = Server()
    server.ended = True
    server.change = lambda frame: frame[:at]
    assert outcome(server) == (errno.ECONNRESET if at < 84 else None), at
    server = Server()
    server.change = lambda frame: frame[:at] + bytes([frame[at] ^ 0xFF]) + frame[at + 1 :] if at < len(frame) else frame
    # Of what this server answers, a header's reserved bytes and what follows numbers and lengths may be anything.
    assert (outcome(server) is None) == (at in (10, 11) or 20 <= at < 24 or at >= 28), at

progress()
# A server that vanishes.
server, hsm = connect()
server.silent = server.ended = True
fails(OSError, errno.ECONNRESET, hsm.echo, b"x")
fails(OSError, errno.ECONNRESET, hsm.random, 1)
hsm.close()
with connect()[1] as hsm:
    hsm.echo(b"x")
fails(OSError, errno.EBADF, hsm.echo, b"x")

progress()
# What the stream raises passes through. After a write that failed nobody knows what has left; a read can be repeated.
for error in (OSError(errno.EIO), ValueError("no"), KeyboardInterrupt()):
    server, hsm = connect()
    server.raising = error
    fails(type(error), None, hsm.echo, b"x")
    server.raising = None
    fails(OSError, errno.ECONNRESET, hsm.echo, b"x")


class Interrupted(Server):
    def readinto(self, buffer):
        if self.raising:
            raise self.raising
        return Server.readinto(self, buffer)

    def write(self, data):
        raising, self.raising = self.raising, None
        count = Server.write(self, data)
        self.raising = raising
        return count


server = Interrupted()
hsm = casemate.Client(server)
server.raising = KeyboardInterrupt()
fails(KeyboardInterrupt, None, hsm.echo, b"x")
server.raising = None
hsm.echo(b"y")


# What a stream saw of a packet is gone if it raises, too.
class Keeping(Server):
    kept = None

    def write(self, data):
        if self.raising:
            self.kept = memoryview(data)
        return Server.write(self, data)


server = Keeping()
hsm = casemate.Client(server)
server.raising = ValueError("no")
fails(ValueError, None, hsm.echo, b"secret")
assert len(server.kept) >= 14 and bytes(server.kept) == bytes(len(server.kept))


progress()
# A stream that uses the client itself.
class Inside(Server):
    hsm = None

    def readinto(self, buffer):
        if self.hsm:
            fails(OSError, 16, self.hsm.echo, b"x")
        return Server.readinto(self, buffer)


server = Inside()
hsm = casemate.Client(server)
server.hsm = hsm
hsm.echo(b"y")
server.hsm = None

# Threads: one waits for another's request, for as long as its own may take; an answer that is there counts, however late.
try:
    import _thread
except ImportError:
    _thread = None
if _thread and not DEVICE:
    import time

    # A server whose answers wait for a lock.
    class Held(Server):
        lock = None
        waiting = False

        def readinto(self, buffer):
            if self.lock:
                self.waiting = True
                with self.lock:
                    pass
            return Server.readinto(self, buffer)

    def until(condition):
        end = time.time() + 300
        while not condition():
            assert time.time() < end, "nothing happens"
            time.sleep_ms(1)

    def start(function, *arguments):
        done = []

        def work():
            try:
                function(*arguments)
                done.append(None)
            except Exception as error:
                done.append(error)

        _thread.start_new_thread(work, ())
        return done

    server = Held()
    hsm = casemate.Client(server, timeout=20)
    server.lock = _thread.allocate_lock()
    server.lock.acquire()
    first = start(hsm.echo, b"first")
    until(lambda: server.waiting)
    fails(OSError, errno.ETIMEDOUT, hsm.echo, b"x")
    fails(OSError, errno.ETIMEDOUT, hsm.close)
    assert server.last == b"first"
    server.lock.release()
    until(lambda: first)
    assert first == [None], first
    hsm.timeout = None
    server.waiting = False
    server.lock.acquire()
    first = start(hsm.echo, b"first")
    until(lambda: server.waiting)
    second = start(hsm.echo, b"second")
    server.lock.release()
    until(lambda: first and second)
    assert first == second == [None], (first, second)
    assert server.last == b"second"

    # A cipher serves one at a time: its state must not be used twice. An error is no use.
    cipher = hsm.key(1).aes(casemate.MODE_CTR, bytes(16))
    server.waiting = False
    server.lock.acquire()
    first = start(cipher.encrypt, b"text")
    until(lambda: server.waiting)
    fails(OSError, 16, cipher.encrypt, b"text")
    server.lock.release()
    until(lambda: first)
    assert isinstance(first[0], casemate.Error), first
    fails(casemate.Error, None, cipher.encrypt, b"text")

    # Whoever closes a client: it is closed once.
    for _ in range(20):
        server, hsm = connect(timeout=None)
        ends = [start(hsm.close) for _ in range(3)] + [start(hsm.echo, b"x")]
        until(lambda: all(ends))
        assert ends[:3] == [[None]] * 3, ends
        assert ends[3] == [None] or ends[3][0].args[0] == errno.EBADF, ends
        fails(OSError, errno.EBADF, hsm.echo, b"x")
    server = hsm = cipher = first = second = ends = None

progress()
# A client that nobody holds any more goes with everything that it has.
gc.collect()
before = gc.mem_alloc()
for _ in range(20):
    connect()[1].echo(b"x")
hsm = server = None
gc.collect()
assert gc.mem_alloc() - before < 20000, gc.mem_alloc() - before


progress()
# Memory that runs out at any point is an exception, and costs no more than that: the client goes on, unless memory was
# missing inside the stream's own code while it was to write.
def starve(hsm):
    hoard = [None] * 4000
    count = 0
    for size in (16384, 1024, 128):
        try:
            while count < len(hoard):
                hoard[count] = bytearray(size)
                count += 1
        except MemoryError:
            pass
    assert count < len(hoard)
    failed = 0
    outcome = None
    while outcome is None:
        try:
            outcome = len(hsm.random(600))
        except MemoryError:
            failed += 1
        except OSError as error:
            hoard = None
            return failed, error.args[0]
        # Some memory comes back, smallest pieces first, and twice as much each time.
        for _ in range(1 << failed):
            count -= 1
            if count >= 0:
                hoard[count] = None
    return failed, outcome


server, hsm = connect()
failed, outcome = starve(hsm)
gc.collect()
assert failed > 0 and outcome in (600, errno.ECONNRESET), (failed, outcome)
if outcome != 600:
    server, hsm = connect()
hsm.echo(b"still here")
