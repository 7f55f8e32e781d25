#!/usr/bin/env python3
"""Makes certificates.txt, and the demonstration's certificates, with OpenSSL 3.0: one line for each certificate, its
name and its DER in hexadecimal. With the argument "demo", only the latter.

Keys are new each time and are not kept. The tests' time is 2030-01-01 12:00:00 UTC.
Run it in this directory; it needs a few seconds and nothing but Python and the program `openssl`.
"""

import base64
import os
import subprocess
import sys
import tempfile

BEGIN, END = "20290101000000Z", "20310101000000Z"
NOW = "20300101120000Z"

work = tempfile.mkdtemp()
output = os.path.abspath("certificates.txt")
demo_output = os.path.abspath("../../../cli/src/demo/certificates.txt")
os.chdir(work)
open("index", "w").close()
with open("serial", "w") as serial:
    serial.write("1000\n")
with open("config", "w") as config:
    config.write(
        "[ca]\ndefault_ca=default\n[default]\nnew_certs_dir=.\ndatabase=index\nserial=serial\npolicy=any\nunique_subject=no\n"
        "[any]\ncommonName=optional\ncountryName=optional\norganizationName=optional\nemailAddress=optional\n"
        "[req]\ndistinguished_name=name\n[name]\n"
    )


def run(*arguments):
    result = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode:
        raise SystemExit(" ".join(arguments) + "\n" + result.stderr.decode())


def key(name, kind):
    """Makes a key pair: "P-256", "RSA:2048", "ED25519"."""
    if kind.startswith("RSA"):
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:" + kind[4:], "-out", name + ".key")
    elif kind.isupper() and kind.startswith("ED"):
        run("openssl", "genpkey", "-algorithm", kind, "-out", name + ".key")
    else:
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind, "-out", name + ".key")
    return name


certificates = {}


def der(name):
    text = open(name + ".pem").read()
    return base64.b64decode(text.split("-----")[2])


def certificate(name, issuer=None, extensions="", subject=None, kind="P-256", own_key=None, begin=BEGIN, end=END,
                digest="sha256", options=()):
    """Makes a certificate. Without an issuer it is self-signed. Extensions are separated by "|"."""
    own_key = own_key or key(name, kind)
    subject = subject or "/CN=" + name
    run("openssl", "req", "-new", "-config", "config", "-key", own_key + ".key", "-subj", subject, "-out", "request")
    with open("extensions", "w") as file:
        lines = ["subjectKeyIdentifier=hash"] if "subjectKeyIdentifier" not in extensions else []
        lines += ["authorityKeyIdentifier=keyid"] if issuer else []
        file.write("[all]\n" + "\n".join(lines + [line for line in extensions.split("|") if line]) + "\n")
        file.write("[subtrees]\npermitted;dirName.0=permitted\n[permitted]\nO=Good\n")
    signer = ["-keyfile", issuer + ".key", "-cert", issuer + ".pem"] if issuer else ["-keyfile", own_key + ".key",
                                                                                   "-selfsign"]
    for option in options:
        signer += ["-sigopt", option]
    run("openssl", "ca", "-batch", "-notext", "-config", "config", "-preserveDN", "-md", digest,
        "-in", "request", "-out", name + ".pem", "-startdate", begin, "-enddate", end, "-extfile", "extensions",
        "-extensions", "all", *signer)
    if own_key != name and not os.path.exists(name + ".key"):
        os.link(own_key + ".key", name + ".key")
    certificates[name] = der(name)


CA = "basicConstraints=critical,CA:TRUE|keyUsage=critical,keyCertSign,cRLSign"
LEAF = "basicConstraints=CA:FALSE|keyUsage=critical,digitalSignature|subjectAltName=DNS:leaf.example.com"


def element(tag, content):
    length = len(content)
    head = [length] if length < 128 else [0x81, length] if length < 256 else [0x82, length >> 8, length & 0xFF]
    return bytes([tag] + head) + content


def attribute_certificate(name, issuer, algorithm, begin=BEGIN, end=END, named=None, sign=("-sha256",)):
    """An attribute certificate (RFC 5755) with one attribute, a group, signed with the key of `issuer`."""
    def subject(of):
        run("openssl", "x509", "-in", of + ".pem", "-outform", "DER", "-out", "issuer.der")
        return part_subject(open("issuer.der", "rb").read())

    holder = element(0x30, element(0xA1, element(0xA4, subject("leaf"))))
    issuer_form = element(0xA0, element(0x30, element(0xA4, subject(named or issuer))))
    validity = element(0x30, element(0x18, begin.encode()) + element(0x18, end.encode()))
    group = element(0x30, element(0x30, element(0x0C, b"operators")))
    attributes = element(0x30, element(0x30, bytes.fromhex("06082b06010505070a04") + element(0x31, group)))
    no_revocation = element(0x30, bytes.fromhex("0603551d38") + element(0x04, bytes.fromhex("0500")))
    algorithm = element(0x30, bytes.fromhex(algorithm))
    content = (element(2, b"\x01") + holder + issuer_form + algorithm + element(2, b"\x2a") + validity + attributes
               + element(0x30, no_revocation))
    info = element(0x30, content)
    open("info", "wb").write(info)
    run("openssl", "dgst", *sign, "-sign", issuer + ".key", "-out", "signature", "info")
    signature = open("signature", "rb").read()
    certificates[name] = element(0x30, info + algorithm + element(3, b"\0" + signature))


def part_subject(encoded):
    """The subject of a certificate of version 3."""
    def split(data):
        length, start = data[1], 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[2:2 + size], "big"), 2 + size
        return data[:start + length], data[start:start + length], data[start + length:]

    _, outer, _ = split(encoded)
    _, rest, _ = split(outer)
    for _ in range(5):  # version, serial number, algorithm, issuer, validity
        _, _, rest = split(rest)
    return split(rest)[0]


def write(path):
    with open(path, "w") as file:
        for name, encoded in certificates.items():
            file.write(name + " " + encoded.hex() + "\n")
    certificates.clear()


# For the demonstration, which runs at any time: valid from 2020 on without an end.
LONG = {"begin": "20200101000000Z", "end": "99991231235959Z"}
certificate("root", extensions=CA, **LONG)
certificate("intermediate", "root", CA, **LONG)
certificate("leaf", "intermediate", LEAF, **LONG)
certificate("expired", "intermediate", LEAF, begin=LONG["begin"], end="20210101000000Z")
certificate("other-root", extensions=CA, kind="RSA:2048", **LONG)
certificate("other-leaf", "other-root", LEAF, kind="ED25519", **LONG)
attribute_certificate("attribute", "root", "06082a8648ce3d040302", end=LONG["end"])
with open("message", "wb") as message:
    message.write(b"signed by the leaf")
run("openssl", "dgst", "-sha256", "-sign", "leaf.key", "-out", "signature", "message")
certificates["signature"] = open("signature", "rb").read()
write(demo_output)
if sys.argv[1:] == ["demo"]:
    sys.exit()

# The usual chain, and another one.
certificate("root", extensions=CA)
certificate("inter", "root", CA)
certificate("leaf", "inter", LEAF)
certificate("leaf-second", "inter", LEAF)
certificate("other-root", extensions=CA, kind="RSA:2048")
certificate("other-inter", "other-root", CA, kind="RSA:2048")
certificate("other-leaf", "other-inter", LEAF, kind="RSA:2048")
# Anchors of every sort.
certificate("self-leaf", extensions=LEAF)
certificate("anchor-without-constraints", extensions="keyUsage=digitalSignature")
certificate("leaf-of-anchor-without-constraints", "anchor-without-constraints", LEAF)
certificate("anchor-no-authority", extensions="basicConstraints=critical,CA:FALSE")
certificate("leaf-of-anchor-no-authority", "anchor-no-authority", LEAF)
certificate("anchor-expired", extensions=CA, end="20300101115959Z")
certificate("leaf-of-anchor-expired", "anchor-expired", LEAF)
certificate("anchor-future", extensions=CA, begin="20300101120001Z")
certificate("leaf-of-anchor-future", "anchor-future", LEAF)
certificate("anchor-rsa1024", extensions=CA, kind="RSA:1024")
certificate("leaf-of-anchor-rsa1024", "anchor-rsa1024", LEAF)
certificate("anchor-rsa768", extensions=CA, kind="RSA:768")
certificate("anchor-sect283k1", extensions=CA, kind="sect283k1")
certificate("anchor-critical", extensions=CA + "|1.2.3.4=critical,ASN1:NULL")
# Intermediates that are none.
certificate("inter-no-authority", "root", "basicConstraints=critical,CA:FALSE|keyUsage=keyCertSign")
certificate("leaf-of-inter-no-authority", "inter-no-authority", LEAF)
certificate("inter-without-constraints", "root", "keyUsage=keyCertSign")
certificate("leaf-of-inter-without-constraints", "inter-without-constraints", LEAF)
certificate("inter-no-cert-sign", "root", "basicConstraints=critical,CA:TRUE|keyUsage=critical,digitalSignature")
certificate("leaf-of-inter-no-cert-sign", "inter-no-cert-sign", LEAF)
certificate("inter-no-usage", "root", "basicConstraints=critical,CA:TRUE")
certificate("leaf-of-inter-no-usage", "inter-no-usage", LEAF)
# Path lengths.
LIMIT = "basicConstraints=critical,CA:TRUE,pathlen:%d|keyUsage=critical,keyCertSign"
certificate("root-limit0", extensions=LIMIT % 0)
certificate("inter-of-root-limit0", "root-limit0", CA)
certificate("leaf-of-root-limit0", "root-limit0", LEAF)
certificate("leaf-of-inter-of-root-limit0", "inter-of-root-limit0", LEAF)
certificate("inter-limit0", "root", LIMIT % 0)
certificate("leaf-of-inter-limit0", "inter-limit0", LEAF)
certificate("inter-below-limit0", "inter-limit0", CA)
certificate("leaf-below-limit0", "inter-below-limit0", LEAF)
certificate("inter-limit0-renewed", "inter-limit0", CA, subject="/CN=inter-limit0")
certificate("leaf-of-renewed", "inter-limit0-renewed", LEAF)
certificate("inter-limit1", "root", LIMIT % 1)
certificate("inter-below-limit1", "inter-limit1", LIMIT % 5)
certificate("leaf-below-limit1", "inter-below-limit1", LEAF)
certificate("inter-second-below-limit1", "inter-below-limit1", CA)
# Name constraints.
CONSTRAINED = CA + "|nameConstraints=critical,"
NAMES = "basicConstraints=CA:FALSE|subjectAltName="
certificate("inter-dns", "root", CONSTRAINED + "permitted;DNS:example.com")
certificate("leaf-dns-good", "inter-dns", NAMES + "DNS:device.example.com,DNS:example.com")
certificate("leaf-dns-bad", "inter-dns", NAMES + "DNS:device.example.com,DNS:device.example.org")
certificate("inter-below-dns", "inter-dns", CA)
certificate("leaf-below-dns-bad", "inter-below-dns", NAMES + "DNS:device.example.org")
certificate("leaf-below-dns-good", "inter-below-dns", NAMES + "DNS:device.example.com")
certificate("inter-not-dns", "root", CONSTRAINED + "excluded;DNS:example.com")
certificate("leaf-not-dns-good", "inter-not-dns", NAMES + "DNS:example.org")
certificate("leaf-not-dns-bad", "inter-not-dns", NAMES + "DNS:a.example.com")
certificate("root-dns", extensions=CONSTRAINED + "permitted;DNS:example.com")
certificate("leaf-of-root-dns-good", "root-dns", NAMES + "DNS:example.com")
certificate("leaf-of-root-dns-bad", "root-dns", NAMES + "DNS:example.org")
certificate("inter-of-root-dns", "root-dns", CA)
certificate("leaf-of-inter-of-root-dns-good", "inter-of-root-dns", NAMES + "DNS:example.com")
certificate("leaf-of-inter-of-root-dns-bad", "inter-of-root-dns", NAMES + "DNS:example.org")
certificate("inter-mail", "root", CONSTRAINED + "permitted;email:example.com")
certificate("leaf-mail-good", "inter-mail", NAMES + "email:a@example.com")
certificate("leaf-mail-bad", "inter-mail", NAMES + "email:a@example.org")
certificate("leaf-mail-subject-bad", "inter-mail", "basicConstraints=CA:FALSE",
            subject="/CN=x/emailAddress=a@example.org")
certificate("inter-address", "root", CONSTRAINED + "permitted;IP:192.0.2.0/255.255.255.0")
certificate("leaf-address-good", "inter-address", NAMES + "IP:192.0.2.9")
certificate("leaf-address-bad", "inter-address", NAMES + "IP:198.51.100.9")
certificate("inter-uri", "root", CONSTRAINED + "permitted;URI:.example.com")
certificate("leaf-uri-good", "inter-uri", NAMES + "URI:https://a.example.com/x")
certificate("leaf-uri-bad", "inter-uri", NAMES + "URI:https://a.example.org/x")
certificate("inter-directory", "root", CA + "|nameConstraints=critical,@subtrees")
certificate("leaf-directory-good", "inter-directory", "basicConstraints=CA:FALSE", subject="/O=Good/CN=x")
certificate("leaf-directory-bad", "inter-directory", "basicConstraints=CA:FALSE", subject="/O=Bad/CN=x")
certificate("inter-other-name", "root", CONSTRAINED + "permitted;otherName:1.2.3.4;UTF8:x")
certificate("leaf-other-name", "inter-other-name", NAMES + "otherName:1.2.3.4;UTF8:x")
# Extensions.
certificate("leaf-critical", "inter", LEAF + "|1.2.3.4=critical,ASN1:NULL")
certificate("leaf-not-critical", "inter", LEAF + "|1.2.3.4=ASN1:NULL")
certificate("leaf-extended-usage", "inter", LEAF + "|extendedKeyUsage=critical,emailProtection")
certificate("leaf-policies", "inter", LEAF + "|certificatePolicies=critical,1.2.3.4")
certificate("leaf-policy-constraints", "inter", LEAF + "|policyConstraints=critical,requireExplicitPolicy:0")
certificate("leaf-distribution", "inter", LEAF + "|crlDistributionPoints=critical,URI:http://example.com/x")
certificate("leaf-more-extensions", "inter", LEAF + "|1.2.3.4=ASN1:NULL|1.2.3.5=ASN1:NULL|extendedKeyUsage=1.2.3.6"
            "|certificatePolicies=1.2.3.7")
# Names and key identifiers.
certificate("inter-renamed", "root", CA, own_key="inter")
certificate("leaf-of-inter-renamed", "inter-renamed", LEAF)
certificate("inter-new-key", "root", CA, subject="/CN=inter")
certificate("leaf-of-inter-new-key", "inter-new-key", LEAF)
certificate("inter-odd-identifier", "root", CA + "|subjectKeyIdentifier=01020304", subject="/CN=inter",
            own_key="inter")
certificate("leaf-odd-identifier", "inter-odd-identifier", LEAF)
# Validity.
certificate("leaf-expired", "inter", LEAF, end="20300101115500Z")
certificate("leaf-last-second", "inter", LEAF, end=NOW)
certificate("leaf-first-second", "inter", LEAF, begin=NOW)
certificate("leaf-future", "inter", LEAF, begin="20300102000000Z")
certificate("inter-expired", "root", CA, end="20300101115500Z")
certificate("leaf-of-inter-expired", "inter-expired", LEAF)
certificate("leaf-without-end", "inter", LEAF, end="99991231235959Z")
# Keys of leaves.
certificate("leaf-key-rsa1024", "inter", LEAF, kind="RSA:1024")
certificate("leaf-key-rsa768", "inter", LEAF, kind="RSA:768")
certificate("leaf-key-p384", "inter", LEAF, kind="P-384")
certificate("leaf-key-ed25519", "inter", LEAF, kind="ED25519")
certificate("leaf-key-sect283k1", "inter", LEAF, kind="sect283k1")
# Signature algorithms.
PSS = ("rsa_padding_mode:pss", "rsa_pss_saltlen:%s")
for name, kind, digest, options in [
    ("rsa2048-sha256", "RSA:2048", "sha256", ()),
    ("rsa3072-sha384", "RSA:3072", "sha384", ()),
    ("rsa4096-sha512", "RSA:4096", "sha512", ()),
    ("rsa2048-sha1", "RSA:2048", "sha1", ()),
    ("rsa2048-pss-sha256", "RSA:2048", "sha256", (PSS[0], PSS[1] % "digest")),
    ("rsa2049-pss-sha512", "RSA:2049", "sha512", (PSS[0], PSS[1] % "digest")),
    ("rsa2050-pss-sha384", "RSA:2050", "sha384", (PSS[0], PSS[1] % "0")),
    ("rsa2048-pss-max", "RSA:2048", "sha256", (PSS[0], PSS[1] % "max", "rsa_mgf1_md:sha512")),
    ("rsa2048-pss-sha1", "RSA:2048", "sha1", (PSS[0], PSS[1] % "20")),
    ("p224-sha256", "P-224", "sha256", ()),
    ("p256-sha256", "P-256", "sha256", ()),
    ("p256-sha512", "P-256", "sha512", ()),
    ("p384-sha384", "P-384", "sha384", ()),
    ("p521-sha512", "P-521", "sha512", ()),
    ("p521-sha256", "P-521", "sha256", ()),
    ("ed25519", "ED25519", "null", ()),
]:
    certificate("root-" + name, extensions=CA, kind=kind, digest=digest, options=options)
    certificate("leaf-" + name, "root-" + name, LEAF, digest=digest, options=options)
# More authorities than are followed.
certificate("deep-00", "root", CA)
for depth in range(1, 17):
    certificate("deep-%02d" % depth, "deep-%02d" % (depth - 1), CA)
certificate("leaf-deep", "deep-15", LEAF)
# Attribute certificates.
ECDSA_SHA256, ECDSA_SHA512 = "06082a8648ce3d040302", "06082a8648ce3d040304"
RSA_SHA256 = "06092a864886f70d01010b0500"
attribute_certificate("attribute-ec", "root", ECDSA_SHA256)
attribute_certificate("attribute-ec-sha512", "root", ECDSA_SHA512, sign=("-sha512",))
attribute_certificate("attribute-rsa", "other-root", RSA_SHA256)
attribute_certificate("attribute-expired", "root", ECDSA_SHA256, end="20300101115500Z")
attribute_certificate("attribute-other-issuer", "root", ECDSA_SHA256, named="inter")
attribute_certificate("attribute-of-leaf", "leaf", ECDSA_SHA256)
attribute_certificate("attribute-of-expired", "anchor-expired", ECDSA_SHA256)

write(output)
