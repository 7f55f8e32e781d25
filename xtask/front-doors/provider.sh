# OpenSSL 3.5 with pkcs11-provider, both unpacked from Debian 13 below the folder $provider and run with that folder's own
# dynamic linker and C library. pkcs11.sh reads this file when the keys "rsa" and "ec" are there.

libraries=$(dirname "$(echo "$provider"/usr/lib/*/ossl-modules)")
cat >provider.cnf <<X
openssl_conf = init
[init]
providers = provider_list
[provider_list]
default = default_provider
pkcs11 = pkcs11_provider
[default_provider]
activate = 1
[pkcs11_provider]
module = $libraries/ossl-modules/pkcs11.so
pkcs11-module-path = $module
pkcs11-module-token-pin = 1234
pkcs11-module-encode-provider-uri-to-pem = true
activate = 1
[req]
distinguished_name = name
[name]
X
# OpenSSL 3.5: with the token, and without it.
new_openssl=("$(echo "$libraries"/ld-linux-*.so.*)" --library-path "$libraries" "$provider/usr/bin/openssl")
with_token() { OPENSSL_CONF=$folder/provider.cnf "${new_openssl[@]}" "$@"; }
without_token() { OPENSSL_CONF=/dev/null "${new_openssl[@]}" "$@"; }
object() { echo "pkcs11:token=test;object=$1;type=${2:-private}"; }

loaded() { with_token list -providers >providers && pattern "PKCS#11 Provider" providers; }
attempt provider-loads loaded
edwards() { tool --keypairgen --key-type EC:edwards25519 --label ed --id 03; }
attempt pkcs11-tool-ed25519-key-pair edwards
listed() {
    with_token storeutl -text "pkcs11:token=test" >stored && pattern "RSA Private Key (2048 bits)" stored &&
        pattern "EC Private Key (256 bits)" stored && pattern "object=ec;type=private" stored
}
attempt provider-lists-objects listed

# A request and a certificate signed with a key of the token, checked without it.
requested() {
    with_token req -new -key "$(object "$1")" -subj /CN=localhost -out "provider-$1.csr" &&
        without_token req -in "provider-$1.csr" -verify -noout
}
certified() {
    with_token req -new -x509 -key "$(object "$1")" -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -out "provider-$1.pem" && without_token verify -CAfile "provider-$1.pem" "provider-$1.pem" &&
        without_token x509 -in "provider-$1.pem" -pubkey -noout -out "provider-$1.pub" && [ -s "provider-$1.pub" ]
}
# signed KEY OPTION...: checked without the token, and with the token's public key; not accepted for other data.
signed() {
    local key=$1
    shift
    with_token pkeyutl -sign -rawin "$@" -inkey "$(object "$key")" -in data -out provider.sig &&
        without_token pkeyutl -verify -rawin "$@" -pubin -inkey "provider-$key.pub" -in data -sigfile provider.sig &&
        with_token pkeyutl -verify -rawin "$@" -pubin -inkey "$(object "$key" public)" -in data -sigfile provider.sig &&
        ! with_token pkeyutl -verify -rawin "$@" -pubin -inkey "$(object "$key" public)" -in provider.cnf -sigfile provider.sig
}
for key in rsa ec ed; do
    attempt "provider-request-$key" requested "$key"
    attempt "provider-certificate-$key" certified "$key"
done
attempt provider-signs-rsa-pkcs1 signed rsa -digest sha256
attempt provider-signs-rsa-pss signed rsa -digest sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest
attempt provider-signs-ecdsa signed ec -digest sha256
attempt provider-signs-ed25519 signed ed

# The provider knows no default for the mask's hash.
oaep=(-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256)
unlocked() {
    without_token pkeyutl -encrypt -pubin -inkey provider-rsa.pub "${oaep[@]}" -in data -out provider.oaep &&
        with_token pkeyutl -decrypt -inkey "$(object rsa)" "${oaep[@]}" -in provider.oaep -out provider.plain &&
        cmp data provider.plain
}
attempt provider-decrypts-oaep unlocked
derived() {
    without_token genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out provider-peer.pem &&
        without_token pkey -in provider-peer.pem -pubout -out provider-peer.pub &&
        with_token pkeyutl -derive -inkey "$(object ec)" -peerkey provider-peer.pub -out provider.one &&
        without_token pkeyutl -derive -inkey provider-peer.pem -peerkey provider-ec.pub -out provider.other &&
        cmp provider.one provider.other
}
attempt provider-derives-ecdh derived
# OpenSSL makes a key in the token, and uses it by the file that stands for it.
generated() {
    with_token genpkey -propquery provider=pkcs11 -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
        -pkeyopt "pkcs11_uri:pkcs11:token=test;object=made" -out made.pem && pattern "PKCS#11 PROVIDER URI" made.pem &&
        with_token pkey -in made.pem -pubout -out made.pub &&
        with_token pkeyutl -sign -rawin -digest sha256 -inkey made.pem -in data -out made.sig &&
        without_token pkeyutl -verify -rawin -digest sha256 -pubin -inkey made.pub -in data -sigfile made.sig
}
attempt provider-generates-ec generated

# TLS servers with their key in the token; the client is the machine's own OpenSSL.
for key in rsa ec ed; do
    provider_port=$(free_port)
    # Not by the function: its process would be a shell, whose end leaves the server behind.
    OPENSSL_CONF=$folder/provider.cnf "${new_openssl[@]}" s_server -key "$(object "$key")" -cert "provider-$key.pem" -www \
        -accept "127.0.0.1:$provider_port" >"provider-server-$key.log" 2>&1 &
    children+=($!)
    provider_tls() {
        listening "$provider_port" || return 1
        timeout 120 openssl s_client -ign_eof -connect "127.0.0.1:$provider_port" -CAfile "provider-$key.pem" \
            -verify_return_error -servername localhost "$1" >provider-client.log 2>&1 <<<"GET / HTTP/1.0
"
        pattern "Verify return code: 0" provider-client.log && pattern "Ciphers supported" provider-client.log
    }
    attempt "provider-tls12-server-$key" provider_tls -tls1_2
    attempt "provider-tls13-server-$key" provider_tls -tls1_3
done
