"""python-pkcs11 uses a module: pkcs11_python.py MODULE. The token has the label "test" and the PIN 1234."""

import sys

import pkcs11
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

token = pkcs11.lib(sys.argv[1]).get_token(token_label="test")
with token.open(rw=True, user_pin="1234") as session:
    assert len(session.generate_random(256)) == 32

    public, private = session.generate_keypair(KeyType.RSA, 2048, store=False)
    for mechanism in (None, Mechanism.SHA512_RSA_PKCS, Mechanism.SHA256_RSA_PKCS):
        options = {} if mechanism is None else {"mechanism": mechanism}
        signature = private.sign(b"text", **options)
        assert public.verify(b"text", signature, **options)
        assert not public.verify(b"test", signature, **options)
    assert private.decrypt(public.encrypt(b"text")) == b"text"

    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp384r1")}, local=True
    )
    public, private = parameters.generate_keypair(store=False)
    assert public.verify(b"t" * 48, private.sign(b"t" * 48, mechanism=Mechanism.ECDSA), mechanism=Mechanism.ECDSA)
    other_public, other = parameters.generate_keypair(store=False)
    secrets = [
        own.derive_key(
            KeyType.AES, 256, mechanism_param=(KDF.NULL, None, theirs[Attribute.EC_POINT]),
            template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )[Attribute.VALUE]
        for own, theirs in ((private, other_public), (other, public))
    ]
    assert secrets[0] == secrets[1] and len(secrets[0]) == 32

    key = session.generate_key(KeyType.AES, 256, store=False)
    text = bytes(range(256)) * 40
    vector = session.generate_random(128)
    for mechanism in (Mechanism.AES_CBC_PAD, Mechanism.AES_CBC):
        encrypted = key.encrypt(text, mechanism=mechanism, mechanism_param=vector)
        assert key.decrypt(encrypted, mechanism=mechanism, mechanism_param=vector) == text
    parts = [text[:100], text[100:5000], text[5000:]]
    encrypted = b"".join(key.encrypt(iter(parts), mechanism=Mechanism.AES_CBC_PAD, mechanism_param=vector))
    assert key.decrypt(encrypted, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=vector) == text

    stored = session.generate_key(KeyType.AES, 128, label="python", id=b"\x07", store=True)
    found = session.get_key(object_class=ObjectClass.SECRET_KEY, label="python")
    assert found.id == b"\x07" and found[Attribute.SENSITIVE]
    assert len(list(session.get_objects({Attribute.LABEL: "python"}))) == 1
    found.destroy()
    assert not list(session.get_objects({Attribute.LABEL: "python"}))

    data = session.create_object(
        {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.LABEL: "data", Attribute.VALUE: b"v" * 100}
    )
    assert next(iter(session.get_objects({Attribute.LABEL: "data"})))[Attribute.VALUE] == b"v" * 100
    data.destroy()
print("python-pkcs11 is content")
