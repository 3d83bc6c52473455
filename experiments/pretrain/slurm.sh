#!/usr/bin/env bash
# Pre-trains on the GPUs of one or several nodes under Slurm. It has not been run on GPUs yet.
#
#   sbatch --nodes 2 --gpus-per-node 8 --ntasks-per-node 8 experiments/pretrain/slurm.sh \
#     CORPUS OUTPUT [further options of lagllama pretrain]
#
# There is one task per GPU: under Slurm, JAX gives each process the GPU with its local number.
# CORPUS and OUTPUT must be on a file system that all nodes share. `.venv` is the virtual
# environment of the checkout, in which `pip install -U "jax[cuda13]"` was run.
#SBATCH --job-name=lagllama
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

corpus=${1:?folder of the corpus} output=${2:?folder of the run}
shift 2

# Two minutes before the time limit, every task receives SIGTERM, saves a checkpoint and exits with
# 0. The job is then requeued, unless the model exists, which is written last.
status=0
srun --kill-on-bad-exit=1 .venv/bin/lagllama pretrain "$corpus" --output "$output" --hosts \
  --preset published --progress False "$@" || status=$?
if [[ $status -eq 0 && ! -e $output/model.safetensors ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
