#!/usr/bin/env bash
# Pre-trains on the GPUs of one or several nodes under Slurm. Not run on such hardware yet.
#
#   sbatch --nodes 2 --gpus-per-node 8 --ntasks-per-node 8 experiments/pretrain/slurm.sh \
#     CORPUS OUTPUT [further options of lagllama pretrain]
#
# One task for each GPU: under Slurm, JAX gives a process the device of its place on the node.
# CORPUS and OUTPUT are on a file system that all nodes see; .venv is the checkout's, with
# `pip install -U "jax[cuda13]"` done in it.
#SBATCH --job-name=lagllama
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

corpus=${1:?folder of the corpus} output=${2:?folder of the run}
shift 2

# Two minutes before its time is up every task is sent SIGTERM: it saves and exits with 0. The job
# then puts itself back into the queue until the model, which is written last, is there.
status=0
srun --kill-on-bad-exit=1 .venv/bin/lagllama pretrain "$corpus" --output "$output" --hosts \
  --preset published --progress False "$@" || status=$?
if [[ $status -eq 0 && ! -e $output/model.safetensors ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
