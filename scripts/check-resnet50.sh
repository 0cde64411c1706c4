#!/usr/bin/env bash
# ResNet-50 at 224 x 224 within its limits: every protocol of scenarios/resnet50-limits.toml in a process of its own,
# peak resident memory (both parties and the dealer) at most 6 GiB, real time at most 15 minutes for gc and 60 s for
# fused. Real time is the whole process: weights and the plaintext reference included. Exits with 1 if a limit fails.
#
#     scripts/check-resnet50.sh [PROTOCOL...]        results go to results/resnet50/
set -euo pipefail
cd "$(dirname "$0")/.."
scenario=scenarios/resnet50-limits.toml
declare -A seconds_at_most=([fused]=60 [gc]=900)
if [ $# -gt 0 ]; then protocols=("$@"); else mapfile -t protocols < <(sed -n 's/^id = "\(.*\)"/\1/p' "$scenario"); fi
for protocol in "${protocols[@]}"; do
    grep -q "^id = \"$protocol\"" "$scenario" || { echo "$scenario has no protocol $protocol" >&2; exit 2; }
done
cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p results/resnet50

number() { # key of a manifest, file
    sed -n "s/^ *\"$1\": \([0-9][0-9]*\),*$/\1/p" "$2"
}

row() { # protocol, real seconds: a line of the table, and whether it is within the limits
    local out=results/resnet50/$1 peak
    peak=$(number peak_rss_bytes "$out/manifest.json")
    awk -F, -v protocol="$1" -v real="$2" -v peak="${peak:?not in the manifest}" -v most="${seconds_at_most[$1]:-}" '
        FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        {
            if (peak > 6 * 1073741824) why = why ", memory"
            if (most != "" && real > most) why = why ", time"
            printf "%-8s %8.1f %9s %10.2f %10.1f %10.1f  %s\n", protocol, real, most == "" ? "-" : most, peak / 1073741824,
                $column["online_s_median"], $column["offline_s_median"], why == "" ? "ok" : "over: " substr(why, 3)
            rows++
        }
        END { exit rows != 1 || why != "" }' "$out/summary.csv"
}

{
    printf 'ResNet-50, 224 x 224, %s, %s processors; at most 6 GiB\n\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(getconf _NPROCESSORS_ONLN)"
    printf '%-8s %8s %9s %10s %10s %10s\n' protocol 'real s' 'at most s' 'peak GiB' 'online s' 'offline s'
} > "$work/table"
failed=0
for protocol in "${protocols[@]}"; do
    # The scenario as shipped, with the other protocols left out.
    awk -v protocol="$protocol" '
        /^\[\[/ { header = $0; next }
        header == "[[protocol]]" && $0 != "id = \"" protocol "\"" { if ($0 !~ /^$/) header = ""; next }
        header != "" { print header; header = "" }
        { print }' "$scenario" > "$work/resnet50-limits.toml"
    start=$(date +%s.%N)
    target/release/longhaul run "$work/resnet50-limits.toml" --out "results/resnet50/$protocol" > "$work/$protocol.txt"
    real=$(awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN { printf "%.1f", end - start }')
    row "$protocol" "$real" >> "$work/table" || failed=1
    tail -n 1 "$work/table" >&2
done
printf '\nonline and offline: virtual time, RTT 100 ms, 100 Mbit/s.\n' >> "$work/table"
cp "$work/table" results/resnet50/limits.txt
cat results/resnet50/limits.txt
exit $failed
