#!/usr/bin/env bash
# Trains on several GPUs, or processes where there is no GPU:
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# On several machines, on each of them: NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST [PORT=29500] tools/dist_train.sh CONFIG GPUS
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
tools=$(dirname "$0")
if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    meet=(--standalone) # on one machine: a port that is free, so that several jobs run side by side
else
    meet=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${meet[@]}" \
    --nproc_per_node="$gpus" \
    "$tools/train.py" "$config" --launcher pytorch "$@"
