#!/bin/sh
# Trains the embedded model of speech-rec and measures it.
#
#   scripts/train/speech.sh DATA/ OUT/
#
# DATA/  what speech_data.sh made
# OUT/   becomes the model; a run that was cut off goes on from there
#
# First it learns from synthetic voices alone. From there it goes on with the digits that people said beside them: once
# with all speakers, which is the model, and for each speaker once without, to measure how well digits of somebody are
# heard who was never heard before. Of each speaker the recordings 0 to 4 of a digit are never learned from.
# Two hours or so on two cores.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,13s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p speech-rec
speech_rec=${CARGO_TARGET_DIR:-target}/release/speech-rec
data=$1 out=$2
mkdir -p "$out"
voices=$out/voices
if [ ! -e "$voices/model.safetensors" ]; then
    "$speech_rec" train --data "$data/train.tsv" --out "$voices" --steps 3000 --held-out 0.005 --vocabulary 700 \
        --window 8 --width 192 --layers 5 --decoder-layers 2 --batch 16 --learning-rate 0.001 --dropout 0 --seed 0
fi
head -n 6000 "$data/train.tsv" > "$data/some.tsv"
for list in "$data"/digits-*.tsv; do
    name=$(basename "$list" .tsv)
    grep -v '_[0-4]\.wav' "$list" > "$data/learn-$name.tsv"
    grep '_[0-4]\.wav' "$list" > "$data/test-$name.tsv"
done
# go_on OUT DIGITS...: from the model of the voices
go_on() {
    to=$1
    shift
    [ -e "$to/model.safetensors" ] || "$speech_rec" train --data "$data/some.tsv" "$@" --base "$voices" --out "$to" \
        --steps 400 --held-out 0.005 --batch 16 --learning-rate 0.0005 --dropout 0 --seed 1
}
go_on "$out" "$data"/learn-digits-*.tsv
cat "$data"/test-digits-*.tsv > "$data/test-digits.tsv"
for test in test-digits test-seen test-unseen; do
    echo "$test"
    "$speech_rec" score --model "$out" --reference "$data/$test.tsv"
done
for list in "$data"/digits-*.tsv; do
    name=$(basename "$list" .tsv)
    # shellcheck disable=SC2046 # the names are ours
    go_on "$out/without-$name" $(ls "$data"/learn-digits-*.tsv | grep -v "learn-$name.tsv")
    echo "$name, by a model that never heard it"
    "$speech_rec" score --model "$out/without-$name" --reference "$list"
done
