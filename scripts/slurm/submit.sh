#!/usr/bin/env bash
# Runs a scenario as N shards, each a task of a Slurm array, and joins their results in a job that waits for all of them.
# Prints the ids of both jobs. Submitted again after a failure, shards that are complete stay as they are and the others
# go on where they stopped.
#
#   scripts/slurm/submit.sh SCENARIO N [OUT]       OUT: results/<scenario name> unless given
#
# LONGHAUL names the binary (default: longhaul in PATH) and LONGHAUL_DATA the data, both as the nodes see them. Partition,
# account and time limit: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT, which sbatch reads itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [[ $# -lt 2 || $# -gt 3 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: $0 SCENARIO N [OUT], for example: $0 scenarios/protocols.toml 8" >&2
    exit 2
fi
scenario=$1 shards=$2
if [ ! -r "$scenario" ]; then
    echo "$scenario: cannot be read; name a scenario file" >&2
    exit 2
fi
# The name stands above the first table.
name=$(sed -n -e '/^[[:space:]]*\[/q' -e 's/^name[[:space:]]*=[[:space:]]*"\([^"]*\)".*/\1/p' "$scenario" | head -n 1)
out=${3:-${name:+results/$name}}
if [ -z "$out" ]; then
    echo "$scenario: no line name = \"...\" found; say where the results go: $0 $scenario $shards OUT" >&2
    exit 2
fi
LONGHAUL=$(command -v "${LONGHAUL:-longhaul}") || {
    echo "no longhaul binary; put it into PATH or set LONGHAUL to it" >&2
    exit 2
}
LONGHAUL=$(realpath "$LONGHAUL")
export LONGHAUL
mkdir -p "$out"
scenario=$(realpath "$scenario") out=$(realpath "$out")
array=$(sbatch --parsable --array="1-$shards" --output="$out/slurm-%A_%a.log" "$here/run.sbatch" "$scenario" "$shards" "$out")
# With a federation sbatch prints "id;cluster".
array=${array%%;*}
merge=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes --output="$out/slurm-%j-merge.log" \
    "$here/merge.sbatch" "$shards" "$out")
echo "shards $array"
echo "merge ${merge%%;*}"
echo "$shards shards of $scenario; their logs and the results come to $out" >&2
