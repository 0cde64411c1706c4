#!/usr/bin/env bash
# Makes results/sweep: ResNet-20 under five protocols executed once, and then every link from 0.25 to 500 ms and from 1 Mbit/s
# to 10 Gbit/s, ideal and with TCP, cold. A minute.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${LONGHAUL:-}" ]; then
    cargo build --release --quiet
    LONGHAUL=target/release/longhaul
fi
OUT=${1:-results/sweep}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$LONGHAUL" run scenarios/sweep.toml --trace --out "$work"
mkdir -p "$OUT/traces"
cp "$work"/traces/*.trace "$OUT/traces/"
"$LONGHAUL" sweep "$OUT"/traces/resnet20.*.trace --subject fused --model ideal,tcp --out "$OUT"
