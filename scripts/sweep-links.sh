#!/usr/bin/env bash
# Makes results/sweep: ResNet-20 executed once under each of five protocols, and then a polynomial against two exact ReLUs, and
# these against each other (exact/), over every link from 0.1 ms to 1 s and from 1 Mbit/s to 10 Gbit/s: ideal, and a cold TCP
# connection. Two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${LONGHAUL:-}" ]; then
    cargo build --release --quiet
    LONGHAUL=$PWD/target/release/longhaul
fi
OUT=${1:-results/sweep}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$LONGHAUL" run scenarios/sweep.toml --trace --out "$work"
mkdir -p "$OUT/traces"
cp "$work"/traces/*.trace "$OUT/traces/"
cd "$OUT/traces"
"$LONGHAUL" sweep resnet20.{fused,gmw,gc}.lan.trace --subject fused --model ideal,tcp --out ..
"$LONGHAUL" sweep resnet20.{gmw,gc}.lan.trace --subject gmw --model ideal,tcp --out ../exact
# MiniONN's larger messages over a cold connection, from the traces that validation uses.
"$LONGHAUL" sweep ../../validation/traces/minionn.{fused,gmw}.line.trace --subject fused --model ideal,tcp --out ../minionn
