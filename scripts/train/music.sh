#!/bin/sh
# Trains the embedded model of music-gen and measures it.
#
#   scripts/train/music.sh CHORALES.json SONGS/ OUT/
#
# CHORALES.json  Jsb16thSeparated.json of github.com/czhuang/JSB-Chorales-dataset
# SONGS/         the folder `scores` of github.com/OpenScore/Lieder
# OUT/           becomes the model; a run that was cut off goes on from there
#
# An hour or two on two cores. The model card's tables are what the last command prints.
set -eu
if [ $# -ne 3 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p music-gen
music_gen=${CARGO_TARGET_DIR:-target}/release/music-gen
"$music_gen" train --data "chorale=$1" "song=$2" --out "$3" --shares 0.65,0.35 --held-out 0.05 \
    --width 256 --layers 4 --context 512 --batch 4 --steps 2600 --seed 0
"$music_gen" evaluate --model "$3" --data "chorale=$1" "song=$2" --held-out 0.05 --style chorale --seed 0
