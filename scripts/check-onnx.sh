#!/usr/bin/env bash
# Runs the ONNX files with trained weights on real images through the protocols that fit them, and compares every
# prediction with the stored logits of the plaintext network. Needs LONGHAUL_DATA, a folder with
# cifar-10-batches-bin/ and models/ (see README, "Real data"). What it prints is in results/onnx/check.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LONGHAUL_DATA:?name a folder with cifar-10-batches-bin/ and models/}"
out=${1:-$(mktemp -d)}

# Rows "image largest-logit-index largest-magnitude" of a .npy file of float32 with ten columns.
argmax() {
    local header
    header=$(od -An -tu2 -j8 -N2 "$1" | tr -d ' ')
    od -An -v -tf4 -w40 -j $((10 + header)) "$1" | awk '{
        best = 1; largest = 0
        for (i = 1; i <= 10; i++) { if ($i + 0 > $best + 0) best = i; v = $i < 0 ? -$i : $i; if (v > largest) largest = v }
        print NR - 1, best - 1, largest }'
}

check() { # scenario, logits
    cargo run --release --quiet -- run "scenarios/$1.toml" --out "$out/$1" > "$out/$1.txt"
    argmax "$LONGHAUL_DATA/models/$2" > "$out/$1.expected"
    awk -F, -v scenario="$1" '
        FNR == NR { split($0, row, " "); expected[row[1]] = row[2]; magnitude[row[1]] = row[3]; next }
        FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        {
            protocol = $column["protocol"]; image = $column["image"]; prediction = $column["prediction"]
            if (!(protocol in runs)) order[++protocols] = protocol
            runs[protocol]++
            if ($column["overflowed_activations"] > 0) {
                overflowed[protocol]++
                if (magnitude[image] < 100) { print "image " image ": overflow, but its logits are below 100"; failed = 1 }
            } else if (prediction == expected[image]) agreed[protocol]++
            else { print protocol ": image " image ": predicts " prediction ", the stored logits " expected[image]; failed = 1 }
        }
        END {
            for (p = 1; p <= protocols; p++) {
                name = order[p]
                printf "%s: %s: %d of %d images as the stored logits, %d overflow\n",
                    scenario, name, agreed[name], runs[name] - overflowed[name], overflowed[name]
                if (agreed[name] < 100) failed = 1
            }
            exit failed
        }' "$out/$1.expected" "$out/$1/runs.csv"
}

failures=0
check onnx-minionn delphi_minionn_7_approx_cifar10_logits_test.npy || failures=1
check onnx-minionn-hybrid delphi_minionn_3_approx_cifar10_logits_test.npy || failures=1
check onnx-resnet20-clean aka_resnet20_cifar10_logits_test.npy || failures=1
check onnx-resnet20 aka_resnet20_cifar10_logits_test.npy || failures=1
exit $failures
