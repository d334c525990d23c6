#!/usr/bin/env bash
# TPU=NAME ZONE=ZONE launch/tpu_pod.sh --config configs/imagenet.py --workdir SHARED/imagenet [more options]
# Runs the same command in ~/lctr_jax on every host of the slice. JAX detects the hosts.
set -euo pipefail
gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
    --command="cd lctr_jax && .venv/bin/python train.py $(printf '%q ' "$@")"
