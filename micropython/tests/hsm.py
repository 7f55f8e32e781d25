#!/usr/bin/env python3
"""The module casemate with a server, and its signatures with the program openssl.

    hsm.py CASEMATE MICROPYTHON
    hsm.py CASEMATE PYBOARD EMULATOR

CASEMATE is the program of this project, whose server listens on a port that the system chooses. MICROPYTHON is a unix
build. PYBOARD is MicroPython's tools/pyboard.py, and EMULATOR a command for an emulated device, to which a second serial
port is added: the server is at its other end.

Run by CPython. Prints one line for each case; the exit status says whether all were as expected.
"""

import os
import re
import subprocess
import sys
import tempfile

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


ALL = ["p256", "p384", "p521", "ed25519", "rsa", "rsa-pss", "ecdh", "ecdh"]

if len(sys.argv) == 3:
    micropython = sys.argv[2]
    with Server() as server:
        script("unix, TCP", ALL, [micropython, "hsm_script.py", server.tcp])
    with Server() as server:
        script("unix, Unix-domain socket", ALL, [micropython, "hsm_script.py", server.unix])
else:
    pyboard, emulator = sys.argv[2:]
    with Server() as server:
        emulator = f"execpty:{emulator} -serial tcp:{server.tcp}"
        command = ["/usr/bin/python3", pyboard, "-d", emulator]
        script("emulated device, UART", ["p256", "ecdh"], command + ["hsm_script.py"])
    done = run("/usr/bin/python3", pyboard, "-d", f"execpty:{sys.argv[3]}", "test_hsm.py")
    well = done.returncode == 0 and set(done.stdout.split()) <= {"#"}
    case("emulated device: test_hsm.py", "" if well else done.stdout[-2000:] + done.stderr[-2000:])

print(f"{failures} failed")
sys.exit(failures != 0)
