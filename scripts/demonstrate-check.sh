#!/usr/bin/env bash
# Shows that `longhaul check` finds real faults and raises no false alarms on a busy machine: three faults, each a patch in
# scripts/faults, are built into copies of the program and checked against a baseline of the program as it is; then the
# program as it is, again and again, while two other processes keep the cores busy. Takes about a quarter of an hour on two
# cores. Fails if a fault is missed or an alarm is false.
#
#     scripts/demonstrate-check.sh [--quiet-runs N] [> docs/check-demonstration.txt]
set -euo pipefail
cd "$(dirname "$0")/.."
quiet_runs=20
if [ "${1:-}" = --quiet-runs ]; then quiet_runs=$2; fi
work=$(mktemp -d)
busy=()
cleanup() {
    for process in "${busy[@]}"; do kill "$process" 2> /dev/null || true; done
    git worktree remove --force "$work/tree" 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# The scenario of results/baseline without garbled circuits, whose second per run the demonstration can do without.
awk '/^\[\[protocol\]\]/ { held = $0; next }
     held != "" { skip = ($0 == "id = \"gc\""); if (!skip) print held; held = "" }
     skip && /^\[/ { skip = 0 }
     !skip { print }' scenarios/baseline.toml > "$work/scenario.toml"

cargo build --release --quiet
cp target/release/longhaul "$work/longhaul"
baseline=$work/baseline
"$work/longhaul" run "$work/scenario.toml" --out "$baseline" > "$work/log" 2>&1
"$work/longhaul" check "$baseline" --update > "$work/log" 2>&1

# Dependencies need not be built again.
git worktree add --quiet --detach "$work/tree" HEAD
mkdir "$work/target"
cp -r target/release "$work/target/release"

failed=0
printf '%-14s %-6s %-24s %-34s %s\n' fault exit cell column verdict
# The fault, and a cell and column that must be among the findings.
demonstrate() {
    local fault=$1 cell=$2 column=$3 code=0
    git -C "$work/tree" apply "$PWD/scripts/faults/$fault.patch"
    CARGO_TARGET_DIR="$work/target" cargo build --release --quiet --manifest-path "$work/tree/Cargo.toml"
    git -C "$work/tree" checkout --quiet .
    "$work/target/release/longhaul" check "$baseline" --format json --out "$work/$fault" \
        > "$work/$fault.json" 2> "$work/log" || code=$?
    python3 - "$fault" "$code" "$cell" "$column" "$work/$fault.json" <<'PYTHON' || failed=1
import json, sys
fault, code, cell, column, path = sys.argv[1:]
report = json.load(open(path))
bad = [finding for finding in report["findings"] if finding["kind"] != "faster"]
for finding in bad:
    move = f'{finding["kind"]}: {finding["baseline"]} -> {finding["candidate"]}'
    if finding["ratio"] is not None:
        move = f'{finding["kind"]}: {finding["ratio"]:.3f}, {finding["detail"]}'
    print(f'{fault:14} {code:6} {finding["cell"]:24} {finding["column"]:34} {move if len(move) < 90 else finding["kind"]}')
caught = code == "1" and any((f["cell"], f["column"]) == (cell, column) for f in bad)
elsewhere = [f["cell"] for f in bad if f["cell"].split(" / ")[1] != cell.split(" / ")[1]]
if not caught:
    print(f"{fault}: MISSED: no finding for {cell}, {column}")
if elsewhere:
    print(f"{fault}: FALSE ALARM in {elsewhere}")
sys.exit(not caught or bool(elsewhere))
PYTHON
}
demonstrate extra-message "minionn / espn / wan" online_messages_down
demonstrate extra-byte "minionn / fss / wan" online_bytes_down
demonstrate slower-kernel "minionn / fss / wan" online_compute_s

python3 -c 'while True: pass' & busy+=($!)
python3 -c '
block = bytearray(64 << 20)
while True: block = block[::-1]' & busy+=($!)
alarms=0
for run in $(seq "$quiet_runs"); do
    "$work/longhaul" check "$baseline" > "$work/quiet" 2> "$work/quiet.err" || {
        alarms=$((alarms + 1))
        echo "alarm in quiet run $run:"
        cat "$work/quiet"
    }
    again=$(grep -c 'running again' "$work/quiet.err" || true)
    echo "quiet run $run: $again confirming runs; $(tail -1 "$work/quiet")"
done
echo "$quiet_runs unchanged runs beside two busy processes: $alarms alarms"
[ "$failed" = 0 ] && [ "$alarms" = 0 ]
