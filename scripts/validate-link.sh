#!/usr/bin/env bash
# Compares real executions over the kernel's TCP with what `longhaul replay` predicts for the same link.
#
#     scripts/validate-link.sh [OUT]             all of it: half an hour; root is needed
#     CONGESTION=bbr PROTOCOLS="fused gmw" RTTS="20" MBITS="100" scripts/validate-link.sh OUT
#
# Two network namespaces are joined twice: by a fast pair of virtual devices, over which the parties do everything that
# comes before the online phase, and by scripts/delay-line (TUN devices with a rate and a delay between them), over which `query
# --online` has the online phase on a TCP connection of its own, with the kernel's congestion control. Each condition is
# probed, then executed cold (nothing was sent on the connection before) and warm (padding was). The prediction is made of one
# execution on this machine under the virtual clock and the probed link.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=${1:-results/validation}
CONGESTION=${CONGESTION:-cubic}
PROTOCOLS=${PROTOCOLS:-fused gmw gc}
RTTS=${RTTS:-20 100 200}
MBITS=${MBITS:-20 100 1000}
REPETITIONS=${REPETITIONS:-3}
MODEL=${MODEL:-minionn}

if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ] || ! command -v ip > /dev/null || ! chrt --fifo 10 true 2> /dev/null; then
    echo "skipped: network namespaces, TUN devices and a link that does not wait take root, /dev/net/tun, ip(8) and chrt(1)"
    exit 0
fi
if ! grep -qw "$CONGESTION" /proc/sys/net/ipv4/tcp_available_congestion_control; then
    echo "skipped: this kernel has no $CONGESTION"
    exit 0
fi
if [ -z "${LONGHAUL:-}" ]; then
    cargo build --release --quiet
    LONGHAUL=$PWD/target/release/longhaul
fi
if [ -z "${DELAY_LINE:-}" ]; then
    (cd scripts/delay-line && cargo build --release --quiet)
    DELAY_LINE=$PWD/scripts/delay-line/target/release/delay-line
fi

# What is measured is hosts with a core each. What the line does for a host is done on the host's: it takes packets through the kernel's stack, as
# a network card's interrupt does.
if [ "$(nproc)" -gt 1 ]; then
    ON_SERVER="taskset -c 0" ON_CLIENT="taskset -c 1" CORES="--cores 0 1"
else
    ON_SERVER="" ON_CLIENT="" CORES=""
fi

# A namespace may only choose what the machine allows.
ALLOWED=$(cat /proc/sys/net/ipv4/tcp_allowed_congestion_control)
sysctl -qw net.ipv4.tcp_allowed_congestion_control="$ALLOWED $CONGESTION"
WORK=$(mktemp -d)
down() {
    for pid in "$WORK"/*.pid; do
        [ -e "$pid" ] && kill "$(cat "$pid")" 2> /dev/null || true
        rm -f "$pid"
    done
    ip netns del lh-server 2> /dev/null || true
    ip netns del lh-client 2> /dev/null || true
}
trap 'down; sysctl -qw net.ipv4.tcp_allowed_congestion_control="$ALLOWED"; rm -rf "$WORK"' EXIT
inside() { ip netns exec "lh-$1" "${@:2}"; }
background() { # NAME COMMAND...
    "${@:2}" > "$WORK/$1.log" 2>&1 &
    echo $! > "$WORK/$1.pid"
}
await() { # NAME WORDS
    for _ in $(seq 100); do
        grep -q "$2" "$WORK/$1.log" && return
        sleep 0.1
    done
    echo "$1 does not start:" >&2
    cat "$WORK/$1.log" >&2
    exit 1
}

mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
scenario() { # REPETITIONS
    echo "name = \"validation\""
    echo "repetitions = $1"
    echo "warmup = 0"
    echo "[[model]]"
    echo "arch = \"$MODEL\""
    for protocol in $PROTOCOLS; do printf '[[protocol]]\nid = "%s"\n' "$protocol"; done
    # It only gives the results a name.
    printf '[[link]]\nname = "line"\npreset = "metro"\n'
}
ROOT=$PWD
cd "$WORK"
"$LONGHAUL" keys > /dev/null
scenario 5 > validation.toml
"$LONGHAUL" run validation.toml --trace --out emulated > /dev/null 2>&1
mkdir -p "$OUT/traces"
cp emulated/traces/*.trace "$OUT/traces/"

up() { # RTT_MS MBIT
    down
    # Before everything else: a link does not wait for a processor.
    background line chrt --fifo 10 "$DELAY_LINE" --devices lh-s lh-c $CORES --delay-ms "$(awk "BEGIN { print $1 / 2 }")" --mbit "$2"
    await line ready
    ip netns add lh-server
    ip netns add lh-client
    local end side address
    for end in "s server 1" "c client 2"; do
        read -r side name address <<< "$end"
        # The whole window may be handed to the device at once; so many segments as one as pass in 200 us.
        ip link set "lh-$side" txqueuelen 200000 gso_max_segs "$(awk "BEGIN { print ($2 < 120) ? 1 : int($2 / 60) }")"
        ip link set "lh-$side" netns "lh-$name"
        ip -n "lh-$name" link set lo up
        ip -n "lh-$name" addr add "10.77.0.$address/24" dev "lh-$side"
        ip -n "lh-$name" link set "lh-$side" up
        # Buffers above every window here, nothing remembered of earlier connections.
        inside "$name" sysctl -qw net.ipv4.tcp_congestion_control="$CONGESTION" net.ipv4.tcp_no_metrics_save=1 \
            net.ipv4.tcp_rmem="4096 131072 268435456" net.ipv4.tcp_wmem="4096 16384 268435456"
    done
    ip link add lh-vs netns lh-server type veth peer name lh-vc netns lh-client
    ip -n lh-server addr add 10.78.0.1/24 dev lh-vs
    ip -n lh-client addr add 10.78.0.2/24 dev lh-vc
    ip -n lh-server link set lh-vs up
    ip -n lh-client link set lh-vc up
    background dealer ip netns exec lh-server "$LONGHAUL" dealer validation.toml --listen 10.78.0.1:7002
    background server $ON_SERVER ip netns exec lh-server "$LONGHAUL" serve validation.toml --dealer 10.78.0.1:7002
    await dealer "listens at"
    await server "listens at"
}

for mbit in $MBITS; do
    # Where the link takes minutes, one run is as good as three.
    scenario $((mbit < 50 ? 1 : REPETITIONS)) > validation.toml
    for rtt in $RTTS; do
        folder="$OUT/$CONGESTION/$rtt-$mbit"
        mkdir -p "$folder"
        up "$rtt" "$mbit"
        $ON_CLIENT ip netns exec lh-client "$LONGHAUL" probe 10.77.0.1:7001 > "$folder/link.toml"
        # Five times what the path holds, each way, and at least 4 MB.
        padding=$(awk "BEGIN { bytes = 5 * $rtt * $mbit * 125; print int(bytes < 4e6 ? 4e6 : bytes) }")
        for start in cold warm; do
            [ "$start" = warm ] && more=(--warm-up "$padding B") || more=()
            $ON_CLIENT ip netns exec lh-client "$LONGHAUL" query 10.78.0.1:7001 validation.toml --online 10.77.0.1:7001 \
                --dealer 10.78.0.1:7002 --out real "${more[@]}" > /dev/null 2> query.log \
                || { cat query.log "$WORK"/*.log >&2; exit 1; }
            cp real/runs.csv "$folder/$start.csv"
            echo "$CONGESTION, $rtt ms, $mbit Mbit/s, $start: $(tail -n +2 real/summary.csv | cut -d, -f3,6 | tr '\n' ' ')"
        done
    done
done
cd "$ROOT"
LONGHAUL=$LONGHAUL python3 scripts/validate_link.py "$OUT"
