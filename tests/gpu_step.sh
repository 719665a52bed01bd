#!/usr/bin/env bash
# Measures a GPU in one call of under six minutes and writes FOLDER/gpu.md:
#
#     tests/gpu_step.sh [FOLDER] [--cpu]
#
# FOLDER: ./build by default. --cpu: the same commands at tiny sizes, to try the script itself.
# PYTHON: the interpreter (python3 by default). Each part has a limit of its own, and the most
# wanted come first, so that a slow machine gives a shorter table and not none.
set -u
cd "$(dirname "$0")/.."
folder=${1:-build}
python=${PYTHON:-python3}
device=cuda backbone=resnet50 size=224 rounds=7 episodes=1000 scored=2000 limit=340 patience=1
settings=()
if [ "${2:-}" = --cpu ]; then
    device=cpu backbone=resnet8 size=32 rounds=1 episodes=4 scored=40 limit=3000 patience=15
    settings=(--set network.depth=1 --set network.feedforward=64 --set data.frames=2 --queries 1
        --set training.validation_episodes=8 --set distill.out_dim=64)
    export OMP_NUM_THREADS=1
fi
mkdir -p "$folder"
rm -rf "$folder/store" "$folder/run" # of an earlier call
export TASD_HOME="$folder/home" PYTHONPATH=. TASD_REQUIRE_GPU=1
began=$SECONDS

# part NAME SECONDS COMMAND...: its output in NAME.txt, its seconds and exit code in parts.txt.
: >"$folder/parts.txt"
part() {
    local name=$1 most=$(($2 * patience)) left start code
    shift 2
    left=$((limit - SECONDS + began))
    if [ "$left" -lt 10 ]; then
        echo "$name 0 left-out" >>"$folder/parts.txt"
        return
    fi
    start=$SECONDS
    timeout $((most < left ? most : left)) "$@" >"$folder/$name.txt" 2>"$folder/$name.err"
    code=$?
    echo "$name $((SECONDS - start)) $code" >>"$folder/parts.txt"
    [ $code = 0 ] || tail -n 5 "$folder/$name.err" "$folder/$name.txt"
}

bench=("$python" -m tasd bench)
if [ $device = cuda ]; then
    part machine 20 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    part tests 100 "$python" -m pytest -q -p no:cacheprovider -m gpu tests/test_gpu.py
fi
part step 90 "${bench[@]}" step --backbone $backbone --size $size --device $device \
    --rounds $rounds --json
part store 60 "$python" -m tests.gpu_report store "$folder/store" --size $size
part train 170 "$python" -m tasd train --store "$folder/store" --device $device --no-verify \
    --backbone $backbone --weights none --crop $size --episodes $episodes --out "$folder/run" \
    --log none ${settings[@]+"${settings[@]}"}
part memory 60 "${bench[@]}" step --backbone $backbone --size $size --device $device --memory --json
part evaluate 120 "${bench[@]}" evaluate --backbone $backbone --size $size --device $device \
    --episodes $scored --rounds 1 --json
"$python" -m tests.gpu_report report "$folder" | tee "$folder/gpu.md"
