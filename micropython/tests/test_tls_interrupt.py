# Ctrl-C while the library allocates, at each allocation in turn: the exception comes when the library has returned, and the
# connection goes on. Silent if all is well. Where MicroPython does not jump out of its handler of the signal there is nothing to
# test.
import wolfssl
from tls_pair import connect, contexts


# How often a connection was interrupted after so many allocations.
def converse(count):
    wolfssl._interrupt_after(count)
    interrupted = 0
    one = None
    while True:
        try:
            if one is None:
                one, other, _ = connect(*contexts())
            # Nothing is written before the handshake is over: an interrupted call does not say what it has done.
            while not (one.cipher() and other.cipher()):
                assert one.read(1) is None and other.read(1) is None
            break
        except KeyboardInterrupt:
            interrupted += 1
    wolfssl._interrupt_after(-1)
    assert one.write(b"there") == 5 and other.read(5) == b"there"
    assert other.write(b"back") == 4 and one.read(4) == b"back"
    one.close()
    assert other.read(1) == b""
    other.close()
    return interrupted


if hasattr(wolfssl, "_interrupt_after"):
    count = 0
    while converse(count):
        count += 1
    assert count > 50, count
