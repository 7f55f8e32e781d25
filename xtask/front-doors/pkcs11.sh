#!/bin/bash
# Real programs use a PKCS#11 module: pkcs11.sh NAME MODULE FOLDER [PYTHON [PROVIDER]]
# The token must be initialized and empty, with the label "test" and the PIN 1234. Each line of the report says how one
# program fared; the exit status is the number of those that failed.
set -u
name=$1 module=$2 folder=$3 python=${4:-} provider=${5:-}
export PKCS11_MODULE_PATH=$module
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
system_module=/etc/pkcs11/modules/casemate-front-doors.module
cd "$folder" || exit 99
trap 'stop_children; [ "$(id -u)" != 0 ] || rm -f "$system_module"' EXIT

tool() { pkcs11-tool --module "$module" --token-label test --session-rw --login --pin 1234 "$@"; }
uri() { echo "pkcs11:token=test;object=$1;type=private?pin-value=1234"; }
echo "what is signed" >data

slots() { pkcs11-tool --module "$module" --list-slots >slots && pattern "token label *: test" slots; }
attempt pkcs11-tool-slots slots
make_keys() {
    tool --keypairgen --key-type rsa:2048 --label rsa --id 01 && tool --keypairgen --key-type EC:prime256v1 --label ec --id 02
}
attempt pkcs11-tool-key-pairs make_keys
attempt pkcs11-tool-test tool --test
test_ec() { tool --test-ec --key-type EC:prime256v1 --id 0a >ec.log 2>&1; cat ec.log; pattern "==> OK" ec.log; }
attempt pkcs11-tool-test-ec test_ec
test_fork() { pkcs11-tool --module "$module" --test-fork; }
attempt pkcs11-tool-test-fork test_fork
objects() { tool --list-objects >objects && pattern "label: *rsa" objects && pattern "label: *ec" objects; }
attempt pkcs11-tool-objects objects

# A signature by the module, checked by OpenSSL with the public key that the module gives.
signed_rsa() {
    tool --read-object --type pubkey --id 01 -o rsa.der && openssl rsa -pubin -inform der -in rsa.der -out rsa.pub &&
        tool --sign -m "$1" --id 01 -i data -o rsa.sig && openssl dgst -sha256 "${@:2}" -verify rsa.pub -signature rsa.sig data
}
attempt rsa-pkcs1-checked-by-openssl signed_rsa SHA256-RSA-PKCS
attempt rsa-pss-checked-by-openssl signed_rsa SHA256-RSA-PKCS-PSS -sigopt rsa_padding_mode:pss
signed_ec() {
    tool --read-object --type pubkey --id 02 -o ec.der && openssl ec -pubin -inform der -in ec.der -out ec.pub &&
        openssl dgst -sha256 -binary data >digest &&
        tool --sign -m ECDSA --id 02 -i digest -o ec.sig --signature-format openssl &&
        openssl dgst -sha256 -verify ec.pub -signature ec.sig data
}
attempt ecdsa-checked-by-openssl signed_ec
decrypted() {
    openssl pkeyutl -encrypt -pubin -inkey rsa.pub -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in data -out oaep &&
        tool --decrypt -m RSA-PKCS-OAEP --hash-algorithm SHA256 --mgf MGF1-SHA256 --id 01 -i oaep -o plain && cmp data plain
}
attempt oaep-encrypted-by-openssl decrypted
agreed() {
    openssl ecparam -name prime256v1 -genkey -noout -out peer.pem && openssl ec -in peer.pem -pubout -outform der -out peer.der &&
        tool --derive -m ECDH1-DERIVE --id 02 --input-file peer.der -o secret && openssl pkeyutl -derive -inkey peer.pem -peerkey ec.pub -out expected &&
        cmp secret expected
}
attempt ecdh-with-openssl agreed

certificate() { openssl req -engine pkcs11 -keyform engine -key "$(uri "$1")" -new -x509 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -out "$1.pem" && openssl verify -CAfile "$1.pem" "$1.pem"; }
attempt openssl-certificate-rsa certificate rsa
attempt openssl-certificate-ec certificate ec
stored() { openssl x509 -in ec.pem -outform der -out ec.crt && tool --write-object ec.crt --type cert --label ec --id 02 &&
    tool --read-object --type cert --id 02 -o back.crt && cmp ec.crt back.crt; }
attempt pkcs11-tool-certificate stored

# A TLS server with its key in the token; a client with a certificate whose key is in the token as well.
port=$(free_port)
openssl s_server -engine pkcs11 -keyform engine -key "$(uri ec)" -cert ec.pem -Verify 1 -CAfile rsa.pem -www \
    -accept "127.0.0.1:$port" >server.log 2>&1 &
children+=($!)
tls() {
    listening "$port" || return 1
    timeout 120 openssl s_client -ign_eof -connect "127.0.0.1:$port" -engine pkcs11 -keyform engine -key "$(uri rsa)" \
        -cert rsa.pem -CAfile ec.pem -verify_return_error -servername localhost "$1" >client.log 2>&1 <<<"GET / HTTP/1.0
"
    pattern "Verify return code: 0" client.log && pattern "Client certificate" client.log
}
attempt openssl-tls13-both-ends tls -tls1_3
attempt openssl-tls12-both-ends tls -tls1_2
web_port=$(free_port)
openssl s_server -engine pkcs11 -keyform engine -key "$(uri rsa)" -cert rsa.pem -www -accept "127.0.0.1:$web_port" >web.log 2>&1 &
children+=($!)
web() { listening "$web_port" && curl -s --cacert rsa.pem --resolve "localhost:$web_port:127.0.0.1" "https://localhost:$web_port/" >page &&
    pattern "Ciphers" page; }
attempt curl-to-openssl-server web

# OpenSSH: a login at a server of our own, with a key of the token.
printf '#!/bin/sh\necho 1234\n' >askpass && chmod 700 askpass
export SSH_ASKPASS=$folder/askpass SSH_ASKPASS_REQUIRE=force
keys() { ssh-keygen -D "$module" >authorized && pattern "ssh-rsa" authorized && pattern "ecdsa-sha2-nistp256" authorized; }
attempt ssh-keygen-keys keys
ssh-keygen -q -t ed25519 -N "" -f host </dev/null >/dev/null
ssh_port=$(free_port)
[ "$(id -u)" = 0 ] && mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f /dev/null -p "$ssh_port" -h "$folder/host" -o ListenAddress=127.0.0.1 -o PidFile=none -o UsePAM=no \
    -o StrictModes=no -o AuthorizedKeysFile="$folder/authorized" -o PermitRootLogin=yes >sshd.log 2>&1 &
children+=($!)
log_in() { listening "$ssh_port" && timeout 120 ssh -F /dev/null -I "$module" -p "$ssh_port" \
    -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o PreferredAuthentications=publickey \
    -o IdentitiesOnly=no 127.0.0.1 echo "logged in" >ssh.log; pattern "logged in" ssh.log; }
attempt ssh-login log_in

# GnuTLS and p11-kit.
gnutls() { p11tool --provider "$module" --login --set-pin=1234 --list-all "pkcs11:token=test" >gnutls.log && pattern "Label: rsa" gnutls.log; }
attempt p11tool-list gnutls
gnutls_sign() { p11tool --provider "$module" --login --set-pin=1234 --test-sign "pkcs11:token=test;object=$1;type=private"; }
attempt p11tool-sign-rsa gnutls_sign rsa
attempt p11tool-sign-ec gnutls_sign ec
kit() {
    # p11-kit does not look at root's own configuration.
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$(dirname "$system_module")" && echo "module: $module" >"$system_module" && p11-kit list-modules >kit.log
    else
        mkdir -p home/.config/pkcs11/modules && echo "module: $module" >home/.config/pkcs11/modules/tested.module &&
            HOME=$folder/home p11-kit list-modules >kit.log
    fi
    pattern "$(basename "$module" | sed 's/\..*//')" kit.log && pattern "token: test" kit.log
}
attempt p11-kit-list-modules kit

if [ -n "$python" ]; then
    attempt python-pkcs11 "$python" "$here/pkcs11_python.py" "$module"
fi

# A Java keystore: keytool makes a key pair in the token, and signs a certificate and a request with it.
cat >pkcs11.cfg <<X
name = Tested
library = $module
slotListIndex = 0
attributes(generate, CKO_PRIVATE_KEY, *) = {
  CKA_TOKEN = true
}
X
java_keys() { keytool -keystore NONE -storetype PKCS11 -storepass 1234 -addprovider SunPKCS11 -providerArg pkcs11.cfg \
    -providerName SunPKCS11-Tested "$@"; }
java_pair() {
    java_keys -genkeypair -alias "java-$1" -dname CN=localhost "${@:2}" && java_keys -list >java.list &&
        pattern "java-$1, PrivateKeyEntry" java.list && java_keys -exportcert -rfc -alias "java-$1" -file java.pem &&
        openssl verify -CAfile java.pem java.pem && java_keys -certreq -alias "java-$1" -file java.csr &&
        openssl req -in java.csr -verify -noout
}
attempt java-keystore-ec java_pair ec -keyalg EC -groupname secp256r1
attempt java-keystore-rsa java_pair rsa -keyalg RSA -keysize 2048
if [ -n "$provider" ]; then
    . "$here/provider.sh"
fi
delete() { tool --delete-object --type privkey --id 01 && tool --delete-object --type pubkey --id 01 && tool --list-objects >left &&
    ! grep -q "label: *rsa" left; }
attempt pkcs11-tool-delete delete
exit "$failures"
