#!/usr/bin/env bash
# Runs the ONNX files with trained weights on real images through the protocols that fit them, and compares every
# prediction with the stored logits of the plaintext network. Needs LONGHAUL_DATA, a folder with
# cifar-10-batches-bin/ and models/ (see README, "Real data"). Results and what it
# prints (check.txt) go to results/onnx, or to the folder given.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LONGHAUL_DATA:?name a folder with cifar-10-batches-bin/ and models/}"
out=${1:-results/onnx}
mkdir -p "$out"
cargo build --release --quiet

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
    target/release/longhaul run "scenarios/$1.toml" --out "$out/$1" > /dev/null || return 1
    argmax "$LONGHAUL_DATA/models/$2" > "$expected" || return 1
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
        }' "$expected" "$out/$1/runs.csv"
}

all() {
    local failures=0
    check onnx-minionn delphi_minionn_7_approx_cifar10_logits_test.npy || failures=1
    check onnx-minionn-hybrid delphi_minionn_3_approx_cifar10_logits_test.npy || failures=1
    check onnx-resnet20-clean aka_resnet20_cifar10_logits_test.npy || failures=1
    check onnx-resnet20 aka_resnet20_cifar10_logits_test.npy || failures=1
    return $failures
}

expected=$(mktemp)
trap 'rm -f "$expected"' EXIT
all | tee "$out/check.txt"
