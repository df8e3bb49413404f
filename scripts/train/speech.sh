#!/bin/sh
# Trains a small model of speech-rec and measures it: a first form of the recipe for the one that is to be built in.
#
#   scripts/train/speech.sh DATA/ OUT/
#
# DATA/  what speech_data.sh made
# OUT/   becomes the model; a run that was cut off goes on from there
#
# First it learns from synthetic voices alone, mostly clean; from there it goes on with digits that people said beside them,
# a third of all windows as if in another room or amid noise. The speaker theo is left out, and of each other speaker the
# recordings 0 to 4 of a digit: they are for measuring. An hour or so on two cores that have nothing else to do.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p speech-rec
speech_rec=${CARGO_TARGET_DIR:-target}/release/speech-rec
data=$1 out=$2
mkdir -p "$out"
voices=$out/voices
if [ ! -e "$voices/model.safetensors" ]; then
    "$speech_rec" train --data "$data/train.tsv" --out "$voices" --steps 1400 --held-out 0.005 --vocabulary 300 \
        --window 5 --width 192 --layers 5 --decoder-layers 2 --batch 24 --learning-rate 0.002 --augment 0.1 --dropout 0 --seed 0
fi
set --
for list in "$data"/digits-*.tsv; do
    name=$(basename "$list" .tsv)
    [ "$name" != digits-theo ] || continue
    grep -v '_[0-4]\.wav' "$list" > "$data/learn-$name.tsv"
    grep '_[0-4]\.wav' "$list" > "$data/test-$name.tsv"
    set -- "$@" "$data/learn-$name.tsv"
done
if [ ! -e "$out/model.safetensors" ]; then
    "$speech_rec" train --data "$data/train.tsv" "$@" --base "$voices" --out "$out" --steps 1500 --held-out 0.005 --batch 24 \
        --learning-rate 0.0015 --augment 0.3 --dropout 0 --seed 1
fi
cat "$data"/test-digits-*.tsv > "$data/test-digits.tsv"
for test in test-digits digits-theo test-seen test-unseen; do
    echo "$test"
    "$speech_rec" score --model "$out" --reference "$data/$test.tsv"
done
