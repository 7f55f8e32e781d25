# Threads, which run in parallel on unix: each with its sockets, all with the same contexts. Silent if all is well.
import gc
import time
import _thread
from tls_pair import connect, contexts, raises, shake

THREADS = 3
client, server = contexts()
# Each thread writes to its own place: where threads run in parallel, of two appends to a list one may be lost.
done = [False] * THREADS


def work(number):
    try:
        for turn in range(60):
            one, other, ends = connect(client, server, hostname="board.local")
            shake(one, other)
            message = bytes([number, turn]) * 500
            one.write(message)
            received = b""
            while len(received) < len(message):
                received += other.read(len(message)) or b""
            assert received == message
            if turn % 2:
                one.close()
                other.close()
            if turn % 10 == 0:
                gc.collect()
        done[number] = None
    except Exception as error:
        done[number] = error


for number in range(THREADS):
    _thread.start_new_thread(work, (number,))
until = time.time() + 120
while False in done and time.time() < until:
    time.sleep_ms(10)
assert done == [None] * THREADS, done

# A socket serves one at a time: from within its own transport it is busy.
one, other, ends = connect(client, server)
ends[0].tamper = lambda data: (raises(OSError, 16, one.write, b"x"), data)[1]
assert one.read(1) is None

# A socket that others use is closed, or looked at: they see it closed, at the latest with their next call.
def use(stream, seen, number):
    while True:
        try:
            stream.read(1)
            stream.cipher()
        except OSError as error:
            if error.args[0] == 16:
                # Another thread has it.
                continue
            seen[number] = error.args[0]
            return


for turn in range(50):
    one, other, ends = connect(client, server)
    shake(one, other)
    assert one.read(1) is None
    seen = [None, None]
    for number in range(2):
        _thread.start_new_thread(use, (one, seen, number))
    for _ in range(turn * 10):
        assert one.ioctl(3, 1) == 0
    one.close()
    one.close()
    until = time.time() + 120
    while None in seen and time.time() < until:
        time.sleep_ms(1)
    assert seen == [9, 9], seen
    assert one.ioctl(3, 1) == 0x20
    other.close()


# A transport is closed by whoever uses it last: a call that another thread has closed the socket under goes on with nothing
# that is closed. Here one function of a transport waits for a lock.
class Held:
    def __init__(self, end, function):
        self.function = function
        self.lock = None
        self.waiting = False
        self.closes = 0
        self.late = 0
        for name in ("readinto", "write", "ioctl"):
            setattr(end, name, self.held(name, getattr(end, name)))

    def held(self, name, function):
        def call(*arguments):
            self.late += self.closes > 0
            if name == "ioctl" and arguments[0] == 4:
                self.closes += 1
                # What it raises, the call under way does not.
                if self.lock:
                    raise ValueError("close")
            elif self.lock and name == self.function:
                self.waiting = True
                with self.lock:
                    pass
            return function(*arguments)

        return call


def until(condition):
    end = time.time() + 300
    while not condition():
        assert time.time() < end, "nothing happens"
        time.sleep_ms(1)


def start(function, *arguments):
    outcome = []

    def work():
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(error)

    _thread.start_new_thread(work, ())
    return outcome


for call in ("read", "write", "ioctl"):
    one, other, ends = connect(client, server)
    shake(one, other)
    assert one.read(1) is None
    # A write of three records waits at the first.
    function, *arguments = {"read": ("readinto", 1), "write": ("write", bytes(40000)), "ioctl": ("ioctl", 3, 1)}[call]
    held = Held(ends[0], function)
    held.lock = _thread.allocate_lock()
    held.lock.acquire()
    outcome = start(getattr(one, call), *arguments)
    until(lambda: held.waiting)
    one.close()
    assert held.closes == 0 and not outcome
    assert one.ioctl(3, 1) == 0x20
    held.lock.release()
    until(lambda: outcome)
    until(lambda: held.closes)
    assert held.closes == 1 and held.late == 0, (held.closes, held.late)
    if call == "read":
        # The transport had nothing.
        assert outcome == [None], outcome
    elif call == "write":
        assert outcome[0] == 16384 or outcome[0].args[0] == 9, outcome
    raises(OSError, 9, one.read, 1)
    raises(OSError, 9, one.setblocking, True)
    assert held.late == 0
    other.close()

# In the same thread, out of the transport: it is closed when the call returns.
one, other, ends = connect(client, server)
shake(one, other)
ends[0].tamper = lambda data: (one.close(), ends[0].closed or data)[1]
raises(OSError, 9, one.write, bytes(40000))
assert ends[0].closed
assert len(other.read(16384)) > 0

# With sockets: a descriptor that a call waits at is not given to another connection.
import os
import socket

path = "/tmp/casemate-%s" % "".join("%02x" % byte for byte in os.urandom(8))
address = bytes([socket.AF_UNIX, 0]) + path.encode() + b"\0"
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(address)
listener.listen(1)
near = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
near.connect(address)
far = listener.accept()[0]
listener.close()
os.remove(path)
near.setblocking(False)
far.setblocking(False)
one = client.wrap_socket(near, server_hostname="board.local", do_handshake_on_connect=False)
other = server.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
shake(one, other)
# What comes after the handshake, and data.
other.write(b"12")
assert one.read(1) == b"1"
near.setblocking(True)
number = near.fileno()
assert one.read(1) == b"2"


def read_all():
    while True:
        try:
            one.read(1)
        except OSError as error:
            # The question below.
            if error.args[0] != 16:
                raise


outcome = start(read_all)


def busy():
    try:
        one.cipher()
    except OSError as error:
        return error.args[0] == 16


until(busy)
one.close()
others = [socket.socket() for _ in range(3)]
assert outcome or number not in [stream.fileno() for stream in others]
other.write(b"wakes it")
until(lambda: outcome)
assert outcome[0].args[0] == 9, outcome
# Now it is free: the system gives out the lowest.
others.append(socket.socket())
assert number in [stream.fileno() for stream in others]
for stream in others:
    stream.close()
