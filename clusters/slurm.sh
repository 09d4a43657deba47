#!/bin/bash
# A search as a job of Slurm, on one node or on several; docs/cluster.md has every step. Fill in what says FILL_IN, then:
#
#   sbatch clusters/slurm.sh space.yaml --set storage=/scratch/me/runs --set data.root=/scratch/me/data
#   sbatch --nodes=4 clusters/slurm.sh space.yaml ...                                   # more trials at once
#   sbatch --array=0-2 clusters/slurm.sh space.yaml --set study=seed-%a --set teacher.seed=%a ...
#
# The words after the script are those of `pdsearch run`; %a in them is the index in an array. Options of sbatch, before
# the script, override what follows. The same command again resumes a search, whatever ended it.
#SBATCH --job-name=pdsearch
#SBATCH --account=FILL_IN_ACCOUNT
#SBATCH --partition=FILL_IN_PARTITION
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --mem=32G
#SBATCH --time=12:00:00
# Two minutes before the end of its time the search is warned: it needs 20 s at most to save its trials' progress. The
# signal goes to the steps, not to this shell (B:), for so does the SIGTERM with which a period of grace begins before a
# preemption. Hence the search is a step.
#SBATCH --signal=USR1@120
# The job may be started again, and then writes on in its file.
#SBATCH --requeue
#SBATCH --open-mode=append
# A search on several nodes goes on without one that fails.
#SBATCH --no-kill
set -uo pipefail
ended=
trap 'ended=1' TERM # Slurm ends the job; waiting for the search goes on.

venv=${PDSEARCH_VENV:-$HOME/venv}
export PATH="$venv/bin:$PATH"
if ! command -v pdsearch >/dev/null; then
    echo "no pdsearch in $venv: install it as docs/cluster.md says, or set PDSEARCH_VENV" >&2
    exit 2
fi
export RAY_USAGE_STATS_ENABLED=0
ulimit -n "$(ulimit -Hn)"
words=("${@//%a/${SLURM_ARRAY_TASK_ID:-0}}")

# A step has all memory and all CPUs that the job has on a node, not the one core to which a task may be bound, beside
# the other step; what ends or fails on one node ends nothing on another.
step=(srun --overlap --mem=0 --cpu-bind=none --kill-on-bad-exit=0 --wait=0 --no-kill)

address_of() { # The address at which Slurm reaches a node; some systems give their own name a loopback address.
    local name
    name=$(scontrol show node --oneliner "$1" | grep -o 'NodeAddr=[^ ]*')
    getent ahostsv4 "${name#NodeAddr=}" | awk '$1 !~ /^127\.0\.1\./ {found = $1; exit} END {print found}'
}

answers() { (exec 3<>"/dev/tcp/$HEAD/$PORT") 2>/dev/null; }

# On each node: a Ray that ends when its standard input does. It hears no signal, for those are meant for the search. Its
# files lie in a short folder of the node's own disk, for the path of a socket has at most 107 characters.
# shellcheck disable=SC2329 # srun calls it.
node() {
    trap '' INT TERM HUP USR1 USR2
    local folder=/tmp/pd-$SLURM_JOB_ID.$SLURM_NODEID own
    own=$(address_of "$SLURMD_NODENAME")
    rm -rf "$folder" && mkdir -m 700 "$folder" || return
    if ((SLURM_NODEID == 0)); then
        own=$HEAD
        set -- --head --port="$PORT" --include-dashboard=false
    else
        until answers; do
            read -rt 1
            (($? != 1)) || return # The job gave up.
        done
        set -- --address="$HEAD:$PORT"
    fi
    # CPUs and GPUs are those of the job, the node may have more. All other ports are free ones, which Ray finds: another
    # job may run on this node.
    set -- "$@" ${own:+--node-ip-address="$own"} --temp-dir="$folder" --dashboard-agent-listen-port=0 \
        --num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --block
    exec python -c '
import os, signal, subprocess, sys
from pdsearch.cluster.connection import supervisor
signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.BLOCKED)
folder, *words = sys.argv[1:]
ray = ["sh", "-c", "exec ray start \"$@\" 2>&1", "ray", *words]
whose = [sys.executable, "-I", "-S", supervisor.__file__, folder, str(os.getpid())]
sys.exit(subprocess.call([*whose, *ray], start_new_session=True))
' "$folder" "$@"
}

search=("${step[@]}" --nodes=1 --ntasks=1 --nodelist="$SLURMD_NODENAME" --input=none)
unset RAY_ADDRESS
if ((SLURM_JOB_NUM_NODES > 1)); then
    # Whoever reaches a Ray without a token may run code on it. This one is the job's, and in no command line or file.
    RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
    HEAD=$(address_of "$SLURMD_NODENAME")
    HEAD=${HEAD:-$(hostname -I | cut -d' ' -f1)}
    PORT=$((20000 + SLURM_JOB_ID % 10000)) # Outside of those that Ray and the system give to others.
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN HEAD PORT
    exec {rays}> >(exec "${step[@]}" --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --label \
        --output="slurm-$SLURM_JOB_ID.ray" --open-mode=append bash -c "$(declare -f address_of answers node); node")
    nodes=$!
    until answers; do
        if ! kill -0 "$nodes" 2>/dev/null || ((SECONDS > 300)); then
            echo "Ray does not start: slurm-$SLURM_JOB_ID.ray has its words" >&2
            exit 69
        fi
        sleep 1
    done
    export RAY_ADDRESS="$HEAD:$PORT"
    search+=(--gres=none) # Its trials have the GPUs.
fi

"${search[@]}" pdsearch run "${words[@]}"
code=$?
if [[ -v rays ]]; then
    exec {rays}>&-
    wait "$nodes"
fi

# docs/exit_codes.md: 129, 138 and 143 are a search that was told to stop, and goes on; 69 and 74 are Ray and the storage,
# which may be well again elsewhere or later, but not for a search that failed so at its start. Whatever else it is, the
# same would happen again, or is done.
sleep 2 # A signal to all steps may reach this shell last.
again=
case $code in
129 | 138 | 143) again=1 ;;
69 | 74) ((SECONDS > 600)) && again=1 ;;
esac
# What Slurm ends stays ended after scancel, and is started again by Slurm after a preemption.
if [[ $again && -z $ended ]]; then
    # The number of one task of an array is that of the whole array, too.
    job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    scontrol requeue "${job:-$SLURM_JOB_ID}" || echo "submit the same again: this job may not be requeued" >&2
fi
exit "$code"
