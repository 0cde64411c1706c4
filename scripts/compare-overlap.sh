#!/usr/bin/env bash
# What streaming large layers gains: runs scenarios/overlap.toml with `stream = true` and `stream = false`, under the
# virtual and the wall clock, and compares the median online times. Takes about a quarter of an hour, most of it the
# wall clock's waiting.
#
#     scripts/compare-overlap.sh [REPETITIONS]        results go to results/overlap/
set -euo pipefail
cd "$(dirname "$0")/.."
repetitions=${1:-3}
cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p results/overlap
files=()
for clock in virtual wall; do
    for stream in true false; do
        case $stream in true) name=$clock-streamed ;; false) name=$clock-whole ;; esac
        sed -E -e "s/^(name = \")overlap\"/\1overlap-$name\"/" \
            -e "s/^clock = .*/clock = \"$clock\"/" -e "s/^stream = .*/stream = $stream/" \
            -e "s/^repetitions = .*/repetitions = $repetitions/" scenarios/overlap.toml > "$work/overlap-$name.toml"
        target/release/longhaul run "$work/overlap-$name.toml" --out "results/overlap/$name" > "$work/$name.txt"
        files+=("results/overlap/$name/summary.csv")
    done
done
awk -F, '
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; file++; next }
    {
        cell = sprintf("%-9s %-6s %-13s", $column["model"], $column["protocol"], $column["link"])
        if (file == 1) cells[++count] = cell
        time[file, cell] = $column["online_s_median"]; floor[file, cell] = $column["online_floor_s"]
    }
    END {
        print "Median online seconds, a layer at a time (whole) and in chunks (streamed); floor: the streamed transcript"
        print "on this link if computing took no time."
        print ""
        printf "%-30s %8s %27s    %27s\n", "", "", "virtual clock        ", "wall clock           "
        printf "%-9s %-6s %-13s %8s %8s %9s %8s    %8s %9s %8s\n", \
            "model", "proto.", "link", "floor", "whole", "streamed", "gain", "whole", "streamed", "gain"
        for (c = 1; c <= count; c++) {
            cell = cells[c]
            printf "%s %8.3f %8.3f %9.3f %7.2fx    %8.3f %9.3f %7.2fx\n", cell, floor[1, cell],
                time[2, cell], time[1, cell], time[2, cell] / time[1, cell],
                time[4, cell], time[3, cell], time[4, cell] / time[3, cell]
            if (time[1, cell] >= time[2, cell]) worse = 1
        }
        if (worse) print "streaming gains nothing somewhere under the virtual clock"
        exit worse
    }' "${files[@]}" | tee results/overlap/comparison.txt
