#!/bin/bash
# A browser's view of the HTTPS server whose key is in the HSM: https.sh NAME CASEMATE EXAMPLE FOLDER, with the server's
# address in CASEMATE_SERVER. EXAMPLE is crates/rustls/examples/https.rs, built. The exit status is the number of failures.
set -u
name=$1 casemate=$2 example=$3 folder=$4
. "$(cd "$(dirname "$0")" && pwd)/common.sh"
cd "$folder" || exit 99
trap stop_children EXIT

id=7
for algorithm in p256 p384 rsa2048 ed25519; do
    made() {
        "$casemate" key generate --id "$id" --algorithm "$algorithm" --usage sign --flags nonexportable &&
            "$casemate" cert self-sign "$id" --profile server --subject CN=localhost --dns localhost --out "web-$algorithm.pem"
    }
    attempt "rustls-certificate-$algorithm" made
    port=$(free_port)
    "$example" "$CASEMATE_SERVER" "$id" "web-$algorithm.pem" "127.0.0.1:$port" >"https-$algorithm.log" 2>&1 &
    children+=($!)
    # fetched OPTION...: what curl gets, if it trusts this certificate and no other.
    fetched() {
        listening "$port" && curl -sS --retry 3 --retry-all-errors --max-time 60 --cacert "web-$algorithm.pem" \
            --resolve "localhost:$port:127.0.0.1" "$@" "https://localhost:$port/" >page && pattern "is in an HSM" page
    }
    attempt "rustls-https-tls12-$algorithm" fetched --tls-max 1.2
    attempt "rustls-https-tls13-$algorithm" fetched --tlsv1.3
    refused() { ! curl -sS --max-time 60 --resolve "localhost:$port:127.0.0.1" "https://localhost:$port/" 2>refused &&
        pattern "certificate" refused; }
    attempt "rustls-https-not-trusted-$algorithm" refused
    id=$((id + 1))
done
exit "$failures"
