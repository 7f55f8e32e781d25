# What the scripts of this folder share. They set `name` first, and work in a folder of their own. With COMPARED in the
# environment, what is tested is another's work: its failures are told without their details, and are none of ours.

export LC_ALL=C
# An unoptimized server on a busy machine takes its time.
export CASEMATE_TIMEOUT=120
failures=0
children=()

# attempt NAME COMMAND...: runs it, and says how it went.
attempt() {
    local what=$1
    shift
    if "$@" >"log.$what" 2>&1 </dev/null; then
        echo "$name  ok    $what"
    elif [ -n "${COMPARED-}" ]; then
        echo "$name  no    $what"
        failures=$((failures + 1))
    else
        echo "$name  FAIL  $what"
        tail -n 5 "log.$what" | sed 's/^/        /'
        failures=$((failures + 1))
    fi
}

stop_children() { for child in "${children[@]}"; do kill "$child" 2>/dev/null; done; }
pattern() { grep -q "$1" "$2" || { cat "$2"; return 1; }; }
# Not of those that the system gives to whoever asks for any.
free_port() {
    python3 -c '
import random, socket
while True:
    port = random.randrange(10000, 25000)
    try:
        socket.socket().bind(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)'
}
# Waits until something listens.
listening() { for _ in $(seq 3000); do (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.1; done; return 1; }
