#!/usr/bin/env python3
"""wolfssl against other implementations, over TCP: the program openssl, Python's ssl (which is OpenSSL, too, but speaks
for itself), curl, and, where it is given, a MicroPython with its built-in modules.

    interoperate.py MICROPYTHON [MICROPYTHON_WITH_BUILT_IN_SSL]

Run by CPython. Prints one line for each case; the exit status says whether all were as expected.
"""

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

OURS = sys.argv[1]
BUILT_IN = sys.argv[2] if len(sys.argv) > 2 else None
FOLDER = tempfile.mkdtemp(prefix="casemate-interoperate-")
LIMIT = 600
failures = 0

# Programs for MicroPython. The built-in module has the same interface under another name.
CLIENT = """
import socket, sys
try:
    import wolfssl as tls
except ImportError:
    import tls
port, authority, name, certificate, key, mode = sys.argv[1:7]
load = lambda path: open(path, "rb").read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = int(mode)
if authority != "-":
    context.load_verify_locations(load(authority))
if certificate != "-":
    context.load_cert_chain(load(certificate), load(key))
stream = socket.socket()
stream.connect(socket.getaddrinfo("127.0.0.1", int(port))[0][-1])
try:
    stream = context.wrap_socket(stream, server_hostname=name)
    stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    total = 0
    while True:
        data = stream.read(4096)
        if not data:
            break
        total += len(data)
    print("received", total, stream.cipher()[1])
    stream.close()
except Exception as error:
    print("error", error.args[0])
"""

SERVER = """
import socket, sys
try:
    import wolfssl as tls
except ImportError:
    import tls
certificate, key, authority, size, count = sys.argv[1:6]
load = lambda path: open(path, "rb").read()
context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
context.load_cert_chain(load(certificate), load(key))
if authority != "-":
    context.load_verify_locations(load(authority))
    context.verify_mode = tls.CERT_REQUIRED
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
listener.listen(5)
print("ready")
for _ in range(int(count)):
    stream, _ = listener.accept()
    try:
        stream = context.wrap_socket(stream, server_side=True)
        while stream.readline().strip():
            pass
        stream.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: " + size.encode() + b"\\r\\n\\r\\n")
        block = bytes(int(size))
        sent = 0
        while sent < len(block):
            sent += stream.write(memoryview(block)[sent:sent + 16384])
        stream.close()
        print("served")
    except OSError as error:
        stream.close()
        print("error", error.args[0])
"""

ASYNC_SERVER = """
import asyncio, sys
import wolfssl as tls
certificate, key, count = sys.argv[1:4]
load = lambda path: open(path, "rb").read()
left = int(count)

async def answer(reader, writer):
    global left
    for _ in range(20):
        line = await reader.readline()
        writer.write(b"you said " + line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    left -= 1

async def main():
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(load(certificate), load(key))
    server = await asyncio.start_server(answer, "127.0.0.1", PORT, ssl=context)
    print("ready")
    while left:
        await asyncio.sleep_ms(10)

asyncio.run(main())
"""


def report(name, seen, expected):
    global failures
    good = seen == expected
    failures += not good
    print("%-6s %s%s" % ("ok" if good else "FAILED", name, "" if good else ": %r, not %r" % (seen, expected)))


def path(name):
    return os.path.join(FOLDER, name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=FOLDER, check=True, capture_output=True)


KEYS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["-newkey", "rsa:2048"],
    "ed25519": ["-newkey", "ed25519"],
}


def authority(name):
    openssl("req", "-x509", "-nodes", *KEYS["ec"], "-keyout", name + ".key", "-out", name + ".pem", "-subj", "/CN=" + name,
            "-days", "2", "-addext", "keyUsage=critical,keyCertSign")


def leaf(name, kind, dns, dates=None, issuer="authority"):
    openssl("req", "-new", "-nodes", *KEYS[kind], "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
    with open(path("extensions"), "w") as file:
        file.write("subjectAltName=DNS:%s,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n" % dns)
    if dates is None:
        openssl("x509", "-req", "-in", name + ".csr", "-CA", issuer + ".pem", "-CAkey", issuer + ".key", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", name + ".pem")
        return
    with open(path("ca.cnf"), "w") as file:
        file.write("[ca]\ndefault_ca=d\n[d]\ndatabase=db\nserial=sn\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
                   "[p]\ncommonName=supplied\n")
    open(path("db"), "w").close()
    with open(path("sn"), "w") as file:
        file.write("01\n")
    openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", issuer + ".pem", "-keyfile", issuer + ".key",
            "-in", name + ".csr", "-out", name + ".pem", "-extfile", "extensions", "-startdate", dates[0], "-enddate", dates[1])


def reserve_port():
    """A port, and the socket that keeps others from getting it: one that does not listen lets in who says SO_REUSEADDR."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation.getsockname()[1], reservation


def micropython(program, interpreter, *arguments):
    file = path("program-%d.py" % threading.get_native_id())
    with open(file, "w") as source:
        source.write(program)
    command = [interpreter, file, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def client(port, trusted="authority.pem", name="board.local", own=None, interpreter=None, mode=2):
    certificate, key = (path(own + ".pem"), path(own + ".key")) if own else ("-", "-")
    trusted = path(trusted) if trusted else "-"
    process = micropython(CLIENT, interpreter or OURS, port, trusted, name, certificate, key, mode)
    try:
        return process.communicate(timeout=LIMIT)[0].strip()
    except subprocess.TimeoutExpired:
        process.kill()
        return "no answer"


class Server:
    """A server in MicroPython. For openssl's and Python's, see below."""

    def __init__(self, name, trusted=None, size=100000, count=1, program=SERVER, interpreter=None):
        self.port, self.reservation = reserve_port()
        arguments = [path(name + ".pem"), path(name + ".key")]
        if program is SERVER:
            arguments += [path(trusted) if trusted else "-", size]
        program = program.replace("PORT", str(self.port))
        self.process = micropython(program, interpreter or OURS, *arguments, count)
        assert self.process.stdout.readline().strip() == "ready", self.process.stdout.read()

    def said(self):
        try:
            return self.process.communicate(timeout=LIMIT)[0].split("\n")[0].strip()
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "no answer"


def python_server(name, version=None, trusted=None, chain=None):
    """Serves one connection in a thread: 100000 bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path(chain or name + ".pem"), path(name + ".key"))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if trusted:
        context.load_verify_locations(path(trusted))
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)

    def serve():
        try:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as stream:
                stream.recv(1000)
                stream.sendall(bytes(100000))
                stream.unwrap()
        except (OSError, ssl.SSLError):
            pass
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def python_client(port, version=None, own=None, name="board.local"):
    context = ssl.create_default_context(cafile=path("authority.pem"))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if own:
        context.load_cert_chain(path(own + ".pem"), path(own + ".key"))
    total = 0
    try:
        with socket.create_connection(("127.0.0.1", port), LIMIT) as stream:
            with context.wrap_socket(stream, server_hostname=name) as stream:
                stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while data := stream.recv(65536):
                    total += len(data)
    except OSError as error:
        # Of a server that has refused, the alert or only the end arrives.
        return "error %s" % error
    return total


authority("authority")
authority("stranger")
for kind in KEYS:
    leaf(kind, kind, "board.local")
leaf("elsewhere", "ec", "elsewhere.local")
leaf("expired", "ec", "board.local", ("20200101000000Z", "20210101000000Z"))
leaf("future", "ec", "board.local", ("20600101000000Z", "20610101000000Z"))
openssl("req", "-x509", "-nodes", *KEYS["ec"], "-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=board.local",
        "-addext", "subjectAltName=DNS:board.local", "-days", "2")
openssl("x509", "-in", "authority.pem", "-outform", "DER", "-out", "authority.der")
VERSIONS = {"TLSv1.3": ssl.TLSVersion.TLSv1_3, "TLSv1.2": ssl.TLSVersion.TLSv1_2}
HEAD = len(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n")

for version, number in VERSIONS.items():
    for kind in KEYS:
        report("client to Python's server, %s, %s" % (version, kind),
               client(python_server(kind, number)), "received 100000 " + version)
        server = Server(kind)
        report("Python's client to server, %s, %s" % (version, kind),
               (python_client(server.port, number), server.said()), (100000 + HEAD, "served"))
report("anchors in DER", client(python_server("ec"), trusted="authority.der"), "received 100000 TLSv1.3")
report("an address as the name", client(python_server("ec"), name="127.0.0.1"), "received 100000 TLSv1.3")

# Bad certificates.
for name, trusted, expected in (
    ("expired", "authority.pem", -151),
    ("future", "authority.pem", -150),
    ("elsewhere", "authority.pem", -322),
    ("ec", "stranger.pem", -188),
    ("ec", None, -188),
    ("self", "authority.pem", -275),
):
    for version, number in VERSIONS.items():
        report("client refuses: %s, %s trusted, %s" % (name, trusted, version),
               client(python_server(name, number), trusted=trusted), "error %d" % expected)
report("client refuses another address", client(python_server("ec"), name="127.0.0.2"), "error -325")
report("client does not look if told so", client(python_server("expired"), trusted=None, mode=0), "received 100000 TLSv1.3")

# Certificates for both sides.
for version, number in VERSIONS.items():
    report("client with a certificate, %s" % version,
           client(python_server("ec", number, trusted="authority.pem"), own="rsa"), "received 100000 " + version)
    for own, expected in (("rsa", "served"), (None, "error -345"), ("self", "error -275"), ("expired", "error -151")):
        server = Server("ec", trusted="authority.pem")
        python_client(server.port, number, own)
        report("server asks for a certificate, gets %s, %s" % (own, version), server.said(), expected)

# The program openssl.
for version, option in (("TLSv1.3", "-tls1_3"), ("TLSv1.2", "-tls1_2")):
    for kind in ("ec", "rsa"):
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", option, "-cert", path(kind + ".pem"), "-key", path(kind + ".key"),
             "-HTTP", "-naccept", "1"], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while not (line := server.stdout.readline()).startswith("ACCEPT 127.0.0.1:"):
            assert line, "openssl s_server has ended"
        seen = client(line.strip().rpartition(":")[2])
        server.kill()
        server.communicate()
        report("client to openssl s_server, %s, %s" % (version, kind),
               seen.startswith("received") and seen.endswith(version), True)
    server = Server("ec")
    answer = subprocess.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, option, "-CAfile", path("authority.pem"),
         "-verify_return_error", "-verify_hostname", "board.local", "-quiet", "-ign_eof"],
        input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=LIMIT, check=False)
    report("openssl s_client to server, %s" % version, (len(answer.stdout), server.said()), (100000 + HEAD, "served"))

# curl.
if shutil.which("curl"):
    for version, options in (("TLSv1.3", ["--tlsv1.3"]), ("TLSv1.2", ["--tls-max", "1.2"])):
        server = Server("ec")
        answer = subprocess.run(
            ["curl", "-sS", "--cacert", path("authority.pem"), *options, "--connect-to", "board.local::127.0.0.1:",
             "https://board.local:%d/" % server.port], capture_output=True, timeout=LIMIT, check=False)
        report("curl to server, %s" % version, (len(answer.stdout), server.said()), (100000, "served"))
    server = Server("ec", trusted="authority.pem")
    answer = subprocess.run(
        ["curl", "-sS", "--cacert", path("authority.pem"), "--cert", path("rsa.pem"), "--key", path("rsa.key"),
         "--connect-to", "board.local::127.0.0.1:", "https://board.local:%d/" % server.port],
        capture_output=True, timeout=LIMIT, check=False)
    report("curl with a certificate to server", (len(answer.stdout), server.said()), (100000, "served"))
else:
    print("skip   curl is not installed")

# Sessions: OpenSSL resumes with our server.
server = Server("ec", count=2)
context = ssl.create_default_context(cafile=path("authority.pem"))
session, reused = None, []
for _ in range(2):
    with socket.create_connection(("127.0.0.1", server.port), LIMIT) as stream:
        with context.wrap_socket(stream, server_hostname="board.local", session=session) as stream:
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while stream.recv(65536):
                pass
            reused.append(stream.session_reused)
            session = stream.session
report("Python's client resumes a session with server", (reused, server.said()), ([False, True], "served"))

# asyncio: many clients at once.
server = Server("ec", program=ASYNC_SERVER, count=10)
answers = []


def converse():
    context = ssl.create_default_context(cafile=path("authority.pem"))
    with socket.create_connection(("127.0.0.1", server.port), LIMIT) as stream:
        with context.wrap_socket(stream, server_hostname="board.local") as stream:
            lines = stream.makefile("rwb")
            good = 0
            for number in range(20):
                lines.write(b"%d\n" % number)
                lines.flush()
                good += lines.readline() == b"you said %d\n" % number
            answers.append((good, lines.read()))


threads = [threading.Thread(target=converse) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(LIMIT)
report("asyncio server, ten clients at once", answers, [(20, b"")] * 10)
server.process.wait(LIMIT)

# The examples of docs/micropython.md.
with open(os.path.join(os.path.dirname(__file__), "../../docs/micropython.md"), encoding="utf-8") as file:
    TEXT = file.read()
EXAMPLES = {}
for heading, body in re.findall(r"^## (?:Example: )?([^\n]*)\n(.*?)(?=^## |\Z)", "## Start\n" + TEXT, re.M | re.S):
    for block in re.findall(r"^```python\n(.*?)^```", body, re.M | re.S):
        EXAMPLES.setdefault(heading, []).append(block)


def example(heading):
    """The only example under a heading, which is done then."""
    (block,) = EXAMPLES.pop(heading)
    return block


def run(program, *arguments):
    try:
        return micropython(program, OURS, *arguments).communicate(timeout=LIMIT)[0].strip()
    except subprocess.TimeoutExpired:
        return "no answer"


report("example: the imports", run(example("Start") + "print(len(hashlib.sha256().digest()), cryptolib.MODE_CBC, ussl.CERT_NONE)\n"),
       "32 2 0")
with open(path("file"), "wb") as file:
    file.write(bytes(10000) + b"end")
report("example: the digest of a file",
       run(example("the digest of a file") + "import sys\nprint(file_digest(sys.argv[1]))\n", path("file")),
       hashlib.sha256(bytes(10000) + b"end").hexdigest())
# A name service that knows one host and one port.
LOCAL = """
import socket as system, sys
class socket:
    socket = system.socket
    def getaddrinfo(host, port):
        assert (host, port) == ("board.local", 443)
        return system.getaddrinfo("127.0.0.1", int(sys.argv[1]))
sys.modules["socket"] = socket
"""
GET = """
print(len(get("board.local", "/", open(sys.argv[2], "rb").read())))
"""
report("example: an HTTPS client", run(LOCAL + example("an HTTPS client") + GET, python_server("ec"), path("authority.pem")), "100000")
number, reservation = reserve_port()
program = example("a TLS server with asyncio")
assert all(program.count(part) == 1 for part in ("server.pem", "server.key", "4433"))
for old, new in (("server.pem", path("ec.pem")), ("server.key", path("ec.key")), ("4433", str(number))):
    program = program.replace(old, new)
server = micropython(program, OURS)
seen, until = None, time.monotonic() + LIMIT
while seen is None and server.poll() is None and time.monotonic() < until:
    try:
        with socket.create_connection(("127.0.0.1", number), LIMIT) as stream:
            context = ssl.create_default_context(cafile=path("authority.pem"))
            with context.wrap_socket(stream, server_hostname="board.local") as stream:
                stream.sendall(b"hello\n")
                seen = stream.makefile("rb").read()
    except ConnectionRefusedError:
        # It does not listen yet.
        time.sleep(0.05)
report("example: a TLS server with asyncio", (seen, server.poll()), (b"you said hello\n", None))
server.kill()
server.communicate()
# The others need what is not here: a broker and its library, a board's serial line.
for heading, blocks in EXAMPLES.items():
    for block in blocks:
        with open(path("example.py"), "w") as file:
            file.write(block)
        report("example: %s, compiled only" % heading,
               run("import sys\ncompile(open(sys.argv[1]).read(), 'example', 'exec')\nprint('compiled')\n", path("example.py")),
               "compiled")

# MicroPython's built-in module on the other side.
if BUILT_IN:
    # It reads certificates in DER only.
    for name in ("ec", "rsa"):
        openssl("x509", "-in", name + ".pem", "-outform", "DER", "-out", name + "-der.pem")
        openssl("pkey", "-in", name + ".key", "-outform", "DER", "-out", name + "-der.key")
    for name in ("ec", "rsa"):
        server = Server(name + "-der", interpreter=BUILT_IN)
        seen = client(server.port)
        # It does not announce the end.
        report("client to MicroPython's built-in server, %s" % name, (seen, server.said()), ("error -397", "served"))
        server = Server(name)
        report("MicroPython's built-in client to server, %s" % name,
               client(server.port, interpreter=BUILT_IN, trusted="authority.der").rpartition(" ")[0],
               "received %d" % (100000 + HEAD))

shutil.rmtree(FOLDER)
print("%d cases failed" % failures if failures else "all as expected")
sys.exit(1 if failures else 0)
