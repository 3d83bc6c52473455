#!/usr/bin/env bash
# Runs all steps from a CSV file to a forecast in a minute, with a tiny model on synthetic series:
#   bash experiments/pretrain/smoke.sh [FOLDER]
# With eight simulated devices on one processor, two devices per copy of the parameters:
#   XLA_FLAGS=--xla_force_host_platform_device_count=8 FSDP=2 bash experiments/pretrain/smoke.sh
set -euo pipefail

folder=${1:-$(mktemp -d)}
mkdir -p "$folder"

# Three yearly series of 200 points with a cycle of seven years.
awk 'BEGIN {
  srand(0); print "item_id,timestamp,target"
  for (item = 1; item <= 3; item++) for (year = 1800; year < 2000; year++)
    printf "item_%d,%d-01-01,%.3f\n", item, year, 10 * item + sin(6.2832 * year / 7) + rand() / 5
}' > "$folder/cycles.csv"

pretrain() {
  lagllama pretrain "$folder/corpus" -o "$folder/run" --preset tiny --fsdp "${FSDP:-1}" \
    --train.steps "$1" --loop.checkpoint-every 10
}

lagllama data corpus "$folder/cycles.csv" -o "$folder/corpus"
pretrain 20
pretrain 30  # resumes from step 20
lagllama forecast "$folder/cycles.csv" --model "$folder/run" -p 7 -o "$folder/forecast.csv"
