#!/usr/bin/env bash
# The published comparison: runs the scenarios of scenarios/paper/ one after another and writes results/paper/table.md and
# README's table from their results. All of it takes about an hour; one core is enough.
#
#     scripts/reproduce-paper.sh [cifar10|cifar100|imagenet|table]...   default: all three; table: only write the tables
set -euo pipefail
cd "$(dirname "$0")/.."
names=("$@")
[ $# -gt 0 ] || names=(cifar10 cifar100 imagenet)
for name in "${names[@]}"; do
    case $name in
        cifar10 | cifar100 | imagenet | table) ;;
        *) echo "$name is none of cifar10, cifar100, imagenet, table" >&2; exit 2 ;;
    esac
done
cargo build --release --quiet
for name in "${names[@]}"; do
    [ "$name" = table ] && continue
    start=$(date +%s)
    target/release/longhaul run "scenarios/paper/$name.toml" --out "results/paper/$name" > /dev/null
    echo "$name: $(($(date +%s) - start)) s" >&2
done
python3 scripts/paper-table.py
echo "results/paper/table.md and README's table are up to date; README's sentences below the table are not generated: compare them"
