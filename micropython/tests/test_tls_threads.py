# Threads, which run in parallel on unix: each with its sockets, all with the same contexts. Silent if all is well.
import gc
import time
import _thread
from tls_pair import connect, contexts, raises, shake

THREADS = 3
client, server = contexts()
done = []


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
        done.append(None)
    except Exception as error:
        done.append(error)


for number in range(THREADS):
    _thread.start_new_thread(work, (number,))
until = time.time() + 120
while len(done) < THREADS and time.time() < until:
    time.sleep_ms(10)
assert done == [None] * THREADS, done

# A socket serves one at a time: from within its own transport it is busy.
one, other, ends = connect(client, server)
ends[0].tamper = lambda data: (raises(OSError, 16, one.write, b"x"), data)[1]
assert one.read(1) is None

# A socket that others use is closed, or looked at: they see it closed, at the latest with their next call.
def use(stream, seen):
    while True:
        try:
            stream.read(1)
            stream.cipher()
        except OSError as error:
            if error.args[0] == 16:
                # Another thread has it.
                continue
            seen.append(error.args[0])
            return


for turn in range(50):
    one, other, ends = connect(client, server)
    shake(one, other)
    assert one.read(1) is None
    seen = []
    for _ in range(2):
        _thread.start_new_thread(use, (one, seen))
    for _ in range(turn * 10):
        assert one.ioctl(3, 1) == 0
    one.close()
    one.close()
    until = time.time() + 120
    while len(seen) < 2 and time.time() < until:
        time.sleep_ms(1)
    assert seen == [9, 9], seen
    assert one.ioctl(3, 1) == 0x20
    other.close()
