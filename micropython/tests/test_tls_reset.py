# Runs after tests that leave sockets open: a soft reset, which lies between two tests on a device, has freed them. Leaves
# some open itself, one in the middle of its handshake. Silent if all is well.
import wolfssl
from tls_pair import connect, contexts, shake

assert wolfssl._usage()[:2] == (0, 0), wolfssl._usage()
client, server = contexts()
one, other, ends = connect(client, server)
shake(one, other)
one, _, _ = connect(client, server)
one.read(1)
