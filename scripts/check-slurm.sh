#!/usr/bin/env bash
# Runs scripts/slurm on a real Slurm of one node, which it starts and stops, and compares the merged shards with the results
# of one process: without computing time every file must be the same, byte for byte. Then a shard that is run again alone,
# and shards that fail.
#
# Needs root and Debian's slurm-wlm and munge (apt-get install -y slurm-wlm munge); without them it says so and does nothing.
# It touches no Slurm that is there already: configuration, keys, state and ports are its own.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in munged slurmctld slurmd sbatch; do
    PATH=$PATH:/usr/sbin command -v "$tool" > /dev/null || { echo "skipped: no $tool (apt-get install -y slurm-wlm munge)"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: slurmd needs root"; exit 0; }
PATH=$PATH:/usr/sbin

if [ -z "${LONGHAUL:-}" ]; then
    cargo build --release --quiet
    LONGHAUL=$PWD/target/release/longhaul
fi
export LONGHAUL
place=$(mktemp -d)
chmod 755 "$place"
export SLURM_CONF=$place/slurm.conf
# A site's settings would win over those of the scripts.
unset "${!SBATCH_@}"
daemons=()

finish() {
    status=$?
    trap - EXIT
    if [ "$status" != 0 ]; then
        tail -n 30 "$place"/out/*.log "$place"/*.log >&2 2> /dev/null || true
    fi
    timeout 10 scancel --user=root 2> /dev/null || true
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2> /dev/null || true
        wait "${daemons[i]}" 2> /dev/null || true
    done
    rm -rf "$place"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM

# A port that nobody listens on.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
    echo "$port"
}

# until_true SECONDS WHAT COMMAND...: waits until the command succeeds.
until_true() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || { echo "waited in vain: $what" >&2; exit 1; }
        sleep 0.3
    done
}

start_slurm() {
    local host
    host=$(hostname -s)
    mkdir -p "$place"/{munge,state,spool}
    (umask 077 && head -c 1024 /dev/urandom > "$place/munge/key")
    munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge/socket" \
        --pid-file="$place/munge/pid" --seed-file="$place/munge/seed" --log-file="$place/munge.log" \
        > "$place/munge.out.log" 2>&1 &
    daemons+=($!)
    until_true 20 "munged answers" test -S "$place/munge/socket"
    # linuxproc and task/affinity need no cgroups, which a container may lack.
    cat > "$SLURM_CONF" << END
ClusterName=check
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
CredType=cred/munge
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=check Nodes=ALL Default=YES State=UP MaxTime=INFINITE
END
    slurmctld -D > "$place/slurmctld.out.log" 2>&1 &
    daemons+=($!)
    until_true 30 "slurmctld answers" ping_controller
    slurmd -D > "$place/slurmd.out.log" 2>&1 &
    daemons+=($!)
    until_true 30 "the node is idle" node_is_idle
}

ping_controller() { timeout 5 scontrol ping 2> /dev/null | grep -q "is UP"; }
node_is_idle() { [ "$(timeout 5 sinfo -h -o %T 2> /dev/null)" = idle ]; }
# No task of the job waits or runs.
is_over() { [ -z "$(squeue -h -j "$1" 2> /dev/null)" ]; }
state() { scontrol show job "$1" | grep -o 'JobState=[A-Z_]*' | sort -u | tr '\n' ' '; }
expect_state() {
    [ "$(state "$1")" = "JobState=$2 " ] || { echo "job $1: $(state "$1")instead of $2" >&2; exit 1; }
}
same_as_whole() {
    for file in runs layers messages summary speedup; do
        cmp "$place/whole/$file.csv" "$place/out/$file.csv"
    done
}

# Four pairs of model and link: 2, 1 and 1 on three shards.
cat > "$place/scenario.toml" << 'END'
name = "shards"
repetitions = 2
compute = "none"
model = [{ arch = "minionn", weights = "random" }, { arch = "resnet20", weights = "random" }]
protocol = [{ id = "fused", polynomial = "relu-d4" }, { id = "espn", polynomial = "relu-d4" }, { id = "fss" }]
link = [
    { name = "lan", rtt = "1 ms", bandwidth = "1 Gbit/s" },
    { name = "wan", rtt = "100 ms", bandwidth = "100 Mbit/s" },
]
END
"$LONGHAUL" run "$place/scenario.toml" --shard 1/1 --out "$place/whole" > /dev/null 2>&1
start_slurm
echo "slurm: $(sinfo -V | head -n 1), one node"

ids=$(scripts/slurm/submit.sh "$place/scenario.toml" 3 "$place/out")
array=$(awk '$1 == "shards" { print $2 }' <<< "$ids") merge=$(awk '$1 == "merge" { print $2 }' <<< "$ids")
until_true 300 "the merge job $merge ends" is_over "$merge"
expect_state "$array" COMPLETED
expect_state "$merge" COMPLETED
same_as_whole
cells=$(for shard in 1 2 3; do cut -d, -f2,4 "$place/out/shard-$shard-of-3/summary.csv" | sed 1d | sort -u | wc -l; done)
[ "$(echo $cells)" = "2 1 1" ] || { echo "pairs of model and link by shard: $cells" >&2; exit 1; }
grep -q '"shard-3-of-3"' "$place/out/manifest.json"
# Each task had one core, and was pinned to it.
grep -h "^shard [123]/3" "$place"/out/slurm-"${array}"_*.log
for shard in 1 2 3; do
    grep -q '"cores": 1,' "$place/out/shard-$shard-of-3/manifest.json" || { echo "shard $shard was not pinned" >&2; exit 1; }
done
echo "slurm: 3 shards and their merge: every CSV file equals that of one process"

# A shard that was lost, run again alone: the array has one task, and it is still the second of three.
rm -rf "$place/out/shard-2-of-3" "$place"/out/*.csv
again=$(sbatch --parsable --array=2 --output="$place/out/again-%a.log" scripts/slurm/run.sbatch "$place/scenario.toml" 3 "$place/out")
last=$(sbatch --parsable --dependency="afterok:$again" --output="$place/out/again-merge.log" scripts/slurm/merge.sbatch 3 "$place/out")
until_true 300 "the merge job $last ends" is_over "$last"
expect_state "$last" COMPLETED
same_as_whole
echo "slurm: one shard run again alone and merged: the same"

# Shards that fail: nothing is merged, and nothing waits for ever.
ids=$(LONGHAUL=$(command -v false) scripts/slurm/submit.sh "$place/scenario.toml" 2 "$place/failed" 2> /dev/null)
merge=$(awk '$1 == "merge" { print $2 }' <<< "$ids")
until_true 120 "the merge job $merge is cancelled" is_over "$merge"
expect_state "$merge" CANCELLED
[ ! -e "$place/failed/runs.csv" ]
echo "slurm: failed shards cancel the merge"
