#!/usr/bin/env bash
# Runs the quickstart as a user would and checks its files: every cell there, every prediction equal to the
# plaintext network's, rounds and bytes as the protocols declare them.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
start=$(date +%s)
cargo run --release --quiet -- run scenarios/quickstart.toml --out "$out"
echo "quickstart: $(($(date +%s) - start)) s"
cargo run --release --quiet -- report "$out"
for file in runs.csv layers.csv messages.csv summary.csv speedup.csv scenario.toml manifest.json report.html; do
    test -s "$out/$file" || { echo "missing $file"; exit 1; }
done
# resnet20: 19 activation layers with 188,416 activations, and 10 logits; the label of the first drawing is 0.
awk -F, '
    function fail(text) { print FILENAME ":" FNR ": " text; failed = 1 }
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
        rows++
        protocol = $column["protocol"]; down = $column["online_bytes_down"]; rounds = $column["online_rounds"]
        if ($column["prediction"] != $column["reference_prediction"]) fail("prediction differs from the reference")
        if ($column["prediction"] != $column["label"]) fail("the drawing is not recognised")
        if ($column["max_abs_error"] > 0.02) fail("logits are off by " $column["max_abs_error"])
        if ($column["overflowed_activations"] != 0) fail("overflow")
        if ($column["online_s"] < $column["online_floor_s"]) fail("faster than its floor")
        if (protocol == "fused" && (rounds != 40 || down != 8 * (188416 + 10))) fail("fused: " rounds " rounds, " down " bytes down")
        if (protocol == "gc" && (rounds != 40 || down != 1024 * 188416 + 80)) fail("gc: " rounds " rounds, " down " bytes down")
        if (protocol == "gmw" && (rounds != 192 || down != 232 * 188416 + 80)) fail("gmw: " rounds " rounds, " down " bytes down")
    }
    END { if (rows != 18) fail(rows " rows instead of 18"); exit failed }' "$out/runs.csv"
awk -F, '
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["link"] == "wan" && $column["online_speedup"] <= 1 { print "fused is not ahead of " $column["baseline"] " on the WAN"; failed = 1 }
    END { if (NR != 5) { print NR - 1 " speedups instead of 4"; failed = 1 } exit failed }' "$out/speedup.csv"
echo "quickstart: results ok"
