#!/usr/bin/env bash
# launch/local.sh N [options of train.py]: a run with N processes on this host, to try what happens on a cluster.
# If one process fails, JAX or this script ends the others.
set -euo pipefail
count=$1
shift
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait || true' EXIT
for ((i = 0; i < count; i++)); do
    "${PYTHON:-python}" "$(dirname "$0")/../train.py" "$@" \
        --coordinator="localhost:${PORT:-8476}" --num_processes="$count" --process_id="$i" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid"
done
