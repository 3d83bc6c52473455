#!/usr/bin/env bash
# Pre-trains on every worker of a TPU pod slice. It has not been run on such hardware yet.
#
#   export TPU=NAME ZONE=us-central2-b PROJECT=PROJECT
#   bash experiments/pretrain/tpu_pod.sh setup                     # clone and install, once
#   bash experiments/pretrain/tpu_pod.sh train CORPUS OUTPUT [further options of lagllama pretrain]
#   bash experiments/pretrain/tpu_pod.sh stop                      # saves a checkpoint and ends
#
# CORPUS and OUTPUT are folders that have the same path on all workers, such as a Filestore share.
# After `stop`, or after a worker was preempted, the same `train` command resumes the run.
set -euo pipefail

usage() {
  sed -n '4,10s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

on_all_workers() {
  gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --project "$PROJECT" --worker=all \
    --command "$1"
}

[[ $# -gt 0 ]] || usage
: "${TPU:?name of the TPU slice}" "${ZONE:?its zone}" "${PROJECT:?its project}"

case $1 in
  setup)
    url=${REPOSITORY:-$(git config --get remote.origin.url || true)}
    : "${url:?set REPOSITORY to the URL to clone}"
    on_all_workers "set -e
      test -d lagllama_jax || git clone $(printf %q "$url") lagllama_jax
      cd lagllama_jax
      make install
      .venv/bin/pip install -qq -c constraints.txt 'jax[tpu]'
      .venv/bin/lagllama --version"
    ;;
  train)
    [[ $# -ge 3 ]] || usage
    corpus=$2 output=$3
    shift 3
    # There is one process per worker. With --hosts, JAX detects the address, number and count.
    options=$(printf '%q ' "$corpus" --output "$output" --hosts --progress False "$@")
    on_all_workers "cd lagllama_jax && echo \$\$ > pretrain.pid &&
      exec .venv/bin/lagllama pretrain $options"
    ;;
  stop)
    on_all_workers "kill -TERM \$(cat lagllama_jax/pretrain.pid)"
    ;;
  *)
    usage
    ;;
esac
