#!/bin/sh
# Trains a small model of translate, English and French both ways, and measures it.
#
#   scripts/train/translate.sh FRA-ENG.ZIP OUT/ [TEST.en TEST.fr]
#
# FRA-ENG.ZIP  Tatoeba's English-French sentence pairs, as manythings.org passes them on
# OUT/         becomes the model; a run that was cut off goes on from there
# TEST.*       texts that go line by line, from elsewhere, to measure on as well
#
# 2,000 pairs that share no sentence with the rest are held out. Two hours or so on two cores.
set -eu
if [ $# -ne 2 ] && [ $# -ne 4 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p translate
translate=${CARGO_TARGET_DIR:-target}/release/translate
out=$2
mkdir -p "$out/first"
unzip -p "$1" '*fra.txt' -x '__MACOSX/*' | cut -f 1,2 > "$out/pairs.tsv"
# the second training begins where the first has ended, and holds out the same pairs
"$translate" train --data "$out/pairs.tsv" --from en --to fr --out "$out/first" --steps 12000 --batch 4000 --vocabulary 8000 \
    --width 256 --layers 4 --decoder-layers 2 --dropout 0.1 --learning-rate 0.0005 --seed 0 --held-out 0.012
"$translate" train --data "$out/pairs.tsv" --from en --to fr --base "$out/first" --out "$out" --steps 14000 --batch 4000 \
    --dropout 0.1 --learning-rate 0.0005 --seed 0 --held-out 0.012
if [ $# -eq 4 ]; then
    "$translate" score --translate --model "$out" --from en --to fr --reference "$4" "$3"
    "$translate" score --translate --model "$out" --from fr --to en --reference "$3" "$4"
fi
