#!/usr/bin/env bash
# Runs the quickstart's WAN cells under the virtual and under the wall clock and compares the median online
# times: they should agree within 3 %. Takes about seven minutes, most of it the garbled tables' real journey.
#
#     scripts/compare-clocks.sh [REPETITIONS]        results go to results/clocks/
set -euo pipefail
cd "$(dirname "$0")/.."
repetitions=${1:-3}
cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for clock in virtual wall; do
    # The scenario as shipped, with the LAN left out: from the first [[link]] to the second.
    awk -v clock="$clock" -v repetitions="$repetitions" '
        /^\[\[link\]\]/ { links++ }
        /^\[speedup\]/ { links = 0 }
        /^name *= *"quickstart"/ { print "name = \"clock-" clock "\""; next }
        /^clock *=/ { print "clock = \"" clock "\""; next }
        /^repetitions *=/ { print "repetitions = " repetitions; next }
        links != 1' scenarios/quickstart.toml > "$work/$clock.toml"
    target/release/longhaul run "$work/$clock.toml" --out "results/clocks/$clock" > "$work/$clock.txt"
done
# Columns by name, so that a new one does not shift them.
awk -F, '
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; file++; next }
    { time[file, $column["protocol"]] = $column["online_s_median"]; seen[$column["protocol"]] = 1 }
    END {
        printf "%-10s %12s %12s %10s\n", "protocol", "virtual s", "wall s", "wall/virt."
        for (p in seen) {
            ratio = time[2, p] / time[1, p]
            printf "%-10s %12.4f %12.4f %10.4f\n", p, time[1, p], time[2, p], ratio
            if (ratio > 1.03 || ratio < 0.97) worse = 1
        }
        if (worse) print "the clocks disagree by more than 3 %"
        exit worse
    }' results/clocks/virtual/summary.csv results/clocks/wall/summary.csv | tee results/clocks/comparison.txt
