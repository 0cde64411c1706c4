#!/usr/bin/env bash
# Runs scenarios on real images with trained weights and checks the results. Needs LONGHAUL_DATA, a folder
# with cifar-10-batches-bin/ and models/ (see README, "Real data").
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LONGHAUL_DATA:?name a folder with cifar-10-batches-bin/ and models/}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for scenario in cifar10-minionn cifar10-resnet20; do
    cargo run --release --quiet -- run "scenarios/$scenario.toml" --out "$out/$scenario"
    # A run past the ring has an empty prediction and says how far past; every other one must agree.
    awk -F, -v scenario="$scenario" '
        FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        {
            overflowed = $column["overflowed_activations"]; prediction = $column["prediction"]
            if ((overflowed > 0) != (prediction == "")) { print FILENAME ":" FNR ": overflow and prediction disagree"; failed = 1 }
            if (overflowed > 0) { past++; next }
            good++
            if (prediction != $column["reference_prediction"]) { print FILENAME ":" FNR ": prediction differs"; failed = 1 }
            if ($column["label"] == prediction) right++
            if (scenario == "cifar10-resnet20" && $column["max_abs_error"] >= 0.02) { print FILENAME ":" FNR ": logits are off"; failed = 1 }
        }
        END { print scenario ": " good " runs agree with the reference, " right " with the label, " past + 0 " past the ring"; exit failed || good < 8 }' \
        "$out/$scenario/runs.csv"
    # The bound on memory: 1.5 GiB with the garbled circuits of resnet20.
    awk -F'[:,]' '/"peak_rss_bytes"/ { printf "peak resident memory %.0f MiB\n", $2 / 1048576; if ($2 >= 1.5 * 1073741824) exit 1; found = 1 } END { exit !found }' \
        "$out/$scenario/manifest.json"
done
# The networks that come with longhaul, on a few test images in private: as good as results/pillar says, and what is exact
# gives the plaintext network's class every time.
cargo run --release --quiet -- accuracy scenarios/pillar.toml --images 64 --singles 1 --out "$out/pillar"
awk -F, '
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
        rows++
        protocol = $column["protocol"]
        if ($column["private_accuracy"] < 0.8) { print protocol ": " $column["private_accuracy"] " right in private"; failed = 1 }
        if ((protocol == "fused" || protocol == "gmw-msb") && $column["agreement"] < 1) { print protocol ": agreement " $column["agreement"]; failed = 1 }
        if ($column["wrapped_activations"] > 0) { print protocol ": wrapped activations"; failed = 1 }
    }
    END { if (rows != 4) { print rows " protocols instead of 4"; failed = 1 } exit failed }' "$out/pillar/accuracy.csv"
echo "pillar: the trained networks do in private what they do in plaintext"
