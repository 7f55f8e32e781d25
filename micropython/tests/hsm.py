#!/usr/bin/env python3
"""The module casemate with a server, and its signatures with the program openssl; TLS with private keys in that server.

    hsm.py CASEMATE MICROPYTHON
    hsm.py CASEMATE PYBOARD EMULATOR

CASEMATE is the program of this project, whose server listens on a port that the system chooses. MICROPYTHON is a unix
build. PYBOARD is MicroPython's tools/pyboard.py, and EMULATOR a command for an emulated device, to which a second serial
port is added: the server is at its other end.

Run by CPython. Prints one line for each case; the exit status says whether all were as expected.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

CASEMATE = sys.argv[1]
TESTS = os.path.dirname(os.path.abspath(__file__))
FOLDER = tempfile.TemporaryDirectory(prefix="casemate-hsm-")
LIMIT = 600
failures = 0


def path(name, data=None):
    name = os.path.join(FOLDER.name, name)
    if data is not None:
        with open(name, "wb") as file:
            file.write(data)
    return name


def case(name, wrong):
    """Prints what became of a case; `wrong` is empty if all is well."""
    global failures
    print(f"{name:<60} {'FAILED: ' + wrong if wrong else 'ok'}", flush=True)
    failures += bool(wrong)


class Server:
    """A server with an empty store in memory, over TCP and a Unix-domain socket."""

    def __enter__(self):
        self.unix = path("socket")
        arguments = [CASEMATE, "serve", "--tcp", "127.0.0.1:0", "--unix", self.unix, "--nvm", "ram", "--quiet"]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        # It says where it listens, and that it does by then.
        self.tcp, unix = None, False
        while not (self.tcp and unix):
            line = self.process.stdout.readline()
            assert line, "the server did not start"
            found = re.search(r"listens on (127\.0\.0\.1:\d+)", line)
            self.tcp = found.group(1) if found else self.tcp
            unix = unix or "unix://" in line
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=LIMIT)


def run(*command):
    return subprocess.run(command, cwd=TESTS, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)


def openssl(*arguments):
    return run("openssl", *arguments)


def check(line):
    """Has OpenSSL judge a line that the script printed: what, and three values."""
    what, *values = line.split()
    values = [bytes.fromhex(value) for value in values]
    if what == "ecdh":
        private, public, secret = values
        private, public = path("private", private), path("public", public)
        found = path("secret")
        made = openssl(
            "pkeyutl", "-derive", "-inkey", private, "-keyform", "DER", "-peerkey", public, "-peerform", "DER", "-out", found
        )
        if made.returncode:
            return made.stderr
        with open(found, "rb") as file:
            return "" if file.read() == secret else "another secret"
    public, signature, message = values
    public, signature, message = path("public", public), path("signature", signature), path("message", message)
    if what == "ed25519":
        options = ["pkeyutl", "-verify", "-pubin", "-inkey", public, "-keyform", "DER", "-rawin", "-in", message, "-sigfile"]
        judged = openssl(*options, signature)
    else:
        hash = {"p256": "sha256", "p521": "sha512"}.get(what, "sha384")
        options = ["-sigopt", "rsa_padding_mode:pss"] if what == "rsa-pss" else []
        judged = openssl("dgst", "-" + hash, "-keyform", "DER", "-verify", public, *options, "-signature", signature, message)
    return "" if judged.returncode == 0 else judged.stdout + judged.stderr


def script(name, expected, command):
    """Runs the script and checks what it prints, which has to be about `expected`."""
    done = run(*command)
    lines = [line for line in done.stdout.replace("\r", "").splitlines() if line != "#"]
    finished = lines[-1:] == ["done"]
    case(f"{name}: hsm_script.py", "" if finished else done.stdout[-200:] + done.stderr[-2000:])
    seen = [line.split()[0] for line in lines[:-1]]
    if finished:
        case(f"{name}: what it prints", "" if seen == expected else str(seen))
    for line in lines[:-1] if finished else []:
        case(f"{name}: {line.split()[0]}, judged by openssl", check(line))


def make_authority():
    """A certificate authority, and a request whose key a certificate does not keep."""
    for name in ("authority", "request"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path(name + ".key"))
    openssl(
        *["req", "-x509", "-new", "-key", path("authority.key"), "-subj", "/CN=authority", "-days", "365"],
        *["-out", path("authority.pem")],
    )
    openssl("req", "-new", "-key", path("request.key"), "-subj", "/CN=board.local", "-out", path("request.pem"))
    path("extensions", b"subjectAltName=DNS:board.local\n")
    issue("other", "-in", path("request.key"))


def issue(name, *key):
    """A certificate for a public key, which `openssl pkey` reads."""
    openssl("pkey", *key, "-pubout", "-out", path("public.pem"))
    made = openssl(
        *["x509", "-req", "-in", path("request.pem"), "-force_pubkey", path("public.pem"), "-days", "365"],
        *["-CA", path("authority.pem"), "-CAkey", path("authority.key"), "-set_serial", "7"],
        *["-extfile", path("extensions"), "-out", path(name + ".pem")],
    )
    assert made.returncode == 0, made.stderr


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    return listener, str(listener.getsockname()[1])


class Program:
    """hsm_tls.py, which connects to a listener of ours."""

    def __init__(self, micropython, *arguments):
        self.process = subprocess.Popen(
            [micropython, "hsm_tls.py", *arguments], cwd=TESTS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def said(self):
        return self.process.communicate(timeout=LIMIT)[0].strip()


def relay(one, other):
    """Bytes from one socket to the other, to the end."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def as_server(micropython, server, kind, id, version):
    """The module is the TLS server, and Python's ssl the client."""
    listener, port = listen()
    program = Program(micropython, server.tcp, "serve", port, path(kind + ".pem"), id)
    context = ssl.create_default_context(cafile=path("authority.pem"))
    context.minimum_version = context.maximum_version = version
    with listener, listener.accept()[0] as stream:
        stream.settimeout(LIMIT)
        try:
            with context.wrap_socket(stream, server_hostname="board.local") as secured:
                secured.sendall(b"hello\n")
                answer = secured.recv(100)
        except OSError as error:
            answer = repr(error).encode()
    said = program.said()
    expected = (b"you said hello\n", version.name.replace("_", "."))
    return "" if (answer, said) == expected else f"{answer} {said}"


def as_server_of_openssl(micropython, server, kind, id):
    """The module is the TLS server, and `openssl s_client` the client. Both come to us."""
    (ours, our_port), (theirs, their_port) = listen(), listen()
    program = Program(micropython, server.tcp, "serve", our_port, path(kind + ".pem"), id)
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:" + their_port, "-servername", "board.local", "-quiet",
         "-verify_return_error", "-verify_hostname", "board.local", "-CAfile", path("authority.pem")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with ours, theirs, ours.accept()[0] as one, theirs.accept()[0] as other:
        threads = [threading.Thread(target=relay, args=ends) for ends in ((one, other), (other, one))]
        for thread in threads:
            thread.start()
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        answer = client.stdout.readline()
        client.stdin.close()
        said = program.said()
        client.wait(LIMIT)
        for thread in threads:
            thread.join()
    complaints = client.stderr.read().decode()
    client.stdout.close()
    client.stderr.close()
    return "" if (answer, said) == (b"you said hello\n", "TLSv1.3") else f"{answer} {said} {complaints}"


def as_client(micropython, server, kind, id):
    """The module is the TLS client and shows its certificate; Python's ssl demands one."""
    listener, port = listen()
    arguments = [server.tcp, "ask", port, path(kind + ".pem"), id, path("authority.pem")]
    program = Program(micropython, *arguments)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=path("authority.pem"))
    context.load_cert_chain(path("other.pem"), path("request.key"))
    context.verify_mode = ssl.CERT_REQUIRED
    with listener, listener.accept()[0] as stream:
        stream.settimeout(LIMIT)
        try:
            with context.wrap_socket(stream, server_side=True) as secured:
                shown = secured.getpeercert(True)
                secured.sendall(b"you said " + secured.recv(100))
        except OSError as error:
            shown = repr(error).encode()
    said = program.said()
    with open(path(kind + ".pem")) as file:
        expected = ssl.PEM_cert_to_DER_cert(file.read())
    return "" if (shown, said) == (expected, "TLSv1.3") else f"{shown} {said}"


def tls(micropython):
    make_authority()
    with Server() as server:
        for id, kind in enumerate(("p256", "p384", "rsa", "ed25519"), 32):
            id = str(id)
            made = run(micropython, "hsm_tls.py", server.tcp, "make", kind, id)
            path("public.der", bytes.fromhex(made.stdout.strip()))
            issue(kind, "-pubin", "-inform", "DER", "-in", path("public.der"))
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                case(f"{kind}: {version.name} server for Python's ssl", as_server(micropython, server, kind, id, version))
            case(f"{kind}: server for openssl s_client", as_server_of_openssl(micropython, server, kind, id))
            case(f"{kind}: client of Python's ssl, with a certificate", as_client(micropython, server, kind, id))


ALL = ["p256", "p384", "p521", "ed25519", "rsa", "rsa-pss", "ecdh", "ecdh"]

if len(sys.argv) == 3:
    micropython = sys.argv[2]
    with Server() as server:
        script("unix, TCP", ALL, [micropython, "hsm_script.py", server.tcp])
    with Server() as server:
        script("unix, Unix-domain socket", ALL, [micropython, "hsm_script.py", server.unix])
    tls(micropython)
else:
    pyboard, emulator = sys.argv[2:]
    # By itself it gives a device ten seconds for an answer, which a busy machine needs for others.
    tool = ["/usr/bin/python3", os.path.join(TESTS, "patient.py"), pyboard, "-d"]
    with Server() as server:
        device = f"execpty:{emulator} -serial tcp:{server.tcp}"
        script("emulated device, UART", ["p256", "ecdh"], [*tool, device, "hsm_script.py"])
    done = run(*tool, f"execpty:{emulator}", "test_hsm.py")
    well = done.returncode == 0 and set(done.stdout.split()) <= {"#"}
    case("emulated device: test_hsm.py", "" if well else done.stdout[-2000:] + done.stderr[-2000:])

print(f"{failures} failed")
sys.exit(failures != 0)
