# One end of a TLS connection whose key a server holds. hsm.py runs it on unix, and is the other end.
#
#     hsm_tls.py SERVER make KIND ID                            makes and stores a key, prints its public half
#     hsm_tls.py SERVER serve|ask PORT CERTIFICATE ID [AUTHORITY]   the TLS server's or the client's side
import socket
import sys
from binascii import hexlify

import casemate
import wolfssl


def reach(address):
    host, port = address.split(":")
    stream = socket.socket()
    stream.connect(socket.getaddrinfo(host, int(port))[0][-1])
    return stream


def load(path):
    with open(path, "rb") as file:
        return file.read()


mode = sys.argv[2]
hsm = casemate.Client(reach(sys.argv[1]), 3, timeout=60000)
if mode == "make":
    key = hsm.generate_key(sys.argv[3], id=int(sys.argv[4]))
    key.commit()
    print(hexlify(key.public()).decode())
else:
    certificate, key = load(sys.argv[4]), hsm.key(int(sys.argv[5]))
    serve = mode == "serve"
    context = wolfssl.SSLContext(wolfssl.PROTOCOL_TLS_SERVER if serve else wolfssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificate, key)
    stream = reach("127.0.0.1:" + sys.argv[3])
    try:
        if serve:
            stream = context.wrap_socket(stream, server_side=True)
            line = stream.readline()
            stream.write(b"you said " + line)
        else:
            context.load_verify_locations(load(sys.argv[6]))
            stream = context.wrap_socket(stream, server_hostname="board.local")
            stream.write(b"hello\n")
            assert stream.readline() == b"you said hello\n"
        print(stream.cipher()[1])
        stream.close()
    except OSError as error:
        print("error", error.args[0])
hsm.close()
