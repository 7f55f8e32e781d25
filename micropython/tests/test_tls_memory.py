# What happens when memory runs out: each allocation of a connection fails in turn. Silent if all is well.
import gc
import wolfssl
from tls_pair import DEVICE, connect, contexts, raises, shake

LARGE = bytes(2000 if DEVICE else 20000)
# On a device, some of the allocations stand for all.
STEP = 37 if DEVICE else 1


# A whole connection: handshake, data, a second connection that resumes the first one, the end.
def converse():
    client, server = contexts()
    client.set_alpn_protocols(["a", "b"])
    server.set_alpn_protocols(["b"])
    for resumed in (False, True):
        one, other, ends = connect(client, server)
        shake(one, other)
        assert one.selected_alpn_protocol() == "b"
        assert one.session_reused == resumed
        sent = received = 0
        while received < len(LARGE):
            sent += one.write(LARGE[sent:]) or 0
            received += len(other.read(len(LARGE)) or b"")
        assert other.write(b"back") == 4 and one.read(4) == b"back"
        one.close()
        assert other.read(1) == b""
        other.close()


def nothing_left():
    gc.collect()
    gc.collect()
    blocks, held, _ = wolfssl._usage()
    return (blocks, held) == (0, 0)


# The collector looks for references in the stack, where old ones may lie around: it may keep one pair of objects, but not
# those of hundreds of runs.
def assert_little_left():
    for _ in range(10):
        bytes(1000)
        if nothing_left():
            return
    assert wolfssl._usage()[1] < 30000, "memory is left: %r" % (wolfssl._usage(),)


def in_another_frame(function):
    try:
        function()
    except MemoryError:
        return False
    except OSError as error:
        # The other end may be the one that memory was missing for.
        assert error.args[0] in (-397, -313, 12), error
        return False
    return True


assert in_another_frame(converse)
assert_little_left()

count = 0
while True:
    wolfssl._fail_after(count)
    done = in_another_frame(converse)
    wolfssl._fail_after(-1)
    gc.collect()
    if done:
        break
    count += STEP
assert count > 300, count


# Memory that runs out in one session leaves its context and the other sessions as they are.
def others_go_on():
    client, server = contexts()
    good = connect(client, server)
    shake(good[0], good[1])
    for count in (3, 30) if DEVICE else (0, 3, 10, 30, 60):
        one, other, ends = connect(client, server)
        wolfssl._fail_after(count)
        try:
            shake(one, other)
        except (MemoryError, OSError):
            pass
        wolfssl._fail_after(-1)
        lost = [end for end in (one, other) if end.ioctl(3, 1) == 0x20]
        for end in lost:
            raises(OSError, None, end.read, 1)
            raises(OSError, None, end.write, b"x")
        one.close()
        other.close()
    assert good[0].write(b"still here") == 10 and good[1].read(10) == b"still here"
    fresh = connect(client, server)
    shake(fresh[0], fresh[1])


others_go_on()


# The heap of Python itself is locked: nothing can be allocated for a transport that is written in Python.
def locked():
    client, server = contexts()
    one, other, ends = connect(client, server)
    read = one.read
    gc.collect()
    import micropython

    error = None
    micropython.heap_lock()
    try:
        read(1)
    except MemoryError:
        error = True
    micropython.heap_unlock()
    assert error
    shake(one, other)


locked()

# Collections at any moment, and objects that nobody closed.
gc.threshold(2000)
for _ in range(1 if DEVICE else 5):
    assert in_another_frame(converse)
    client, server = contexts()
    one, other, ends = connect(client, server, 500)
    shake(one, other)
gc.threshold(-1)
client = server = one = other = ends = None


# A context that is gone before its sockets, and the other way round.
def orders():
    client, server = contexts()
    one, other, ends = connect(client, server)
    client = server = None
    gc.collect()
    shake(one, other)
    one.__del__()
    one.__del__()
    raises(OSError, 9, one.read, 1)
    other = None
    gc.collect()


orders()
assert_little_left()
