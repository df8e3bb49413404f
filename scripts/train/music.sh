#!/bin/sh
# Trains the embedded model of music-gen and measures it.
#
#   scripts/train/music.sh CHORALES.json SONGS/ OUT/
#
# CHORALES.json  Jsb16thSeparated.json of github.com/czhuang/JSB-Chorales-dataset
# SONGS/         the folder `scores` of github.com/OpenScore/Lieder
# OUT/           becomes the model; a run that was cut off goes on from there
#
# An hour or so on two cores. The model card's tables are what the last command prints.
set -eu
if [ $# -ne 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p music-gen
music_gen=${CARGO_TARGET_DIR:-target}/release/music-gen
chorales=$1 songs=$2 out=$3
if [ ! -e "$out/model.safetensors" ]; then
    "$music_gen" train --data "chorale=$chorales" "song=$songs" --out "$out" --held-out 0.05 --batch 3 --shares 0.8,0.2 \
        --width 256 --layers 4 --context 768 --dropout 0.3 --learning-rate 0.002 --steps 4500 --seed 0
fi
"$music_gen" evaluate --model "$out" --data "chorale=$chorales" "song=$songs" --held-out 0.05 --style chorale \
    --count 200 --seed 0
