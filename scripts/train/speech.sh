#!/bin/sh
# Trains the built-in model of speech-rec and measures it.
#
#   scripts/train/speech.sh DATA/ OUT/ [--leave-one-out]
#
# DATA/  what speech_data.sh made
# OUT/   becomes the model; a run that was cut off goes on from there
#
# First it learns from synthetic voices alone: mostly clean, which is when a net this small begins to find the words at all,
# then longer. From there it goes on with digits that people said beside them, half of all windows as if in another room or amid
# noise. Of each speaker the recordings 0 to 4 of a digit are for measuring. Some two hours on two cores that have nothing
# else to do.
#
# With --leave-one-out it also learns, from the same synthetic start, one model a speaker without that speaker, and measures it
# on all that the speaker said: what is to be expected of a voice that was never heard. A quarter of an hour more.
set -eu
if [ $# -lt 2 ] || [ $# -gt 3 ] || [ "${3:---leave-one-out}" != --leave-one-out ]; then
    sed -n '2,17s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p speech-rec
speech_rec=${CARGO_TARGET_DIR:-target}/release/speech-rec
data=$1 out=$2
names="george jackson lucas nicolas theo"
mkdir -p "$out"

# learn OUT ARGUMENT...: once
learn() {
    model=$1
    shift
    [ -e "$model/model.safetensors" ] || "$speech_rec" train --out "$model" --batch 24 "$@"
}

learn "$out/begun" --data "$data/train.tsv" --steps 1400 --held-out 0.005 --vocabulary 300 --window 5 --width 192 --layers 5 \
    --decoder-layers 2 --learning-rate 0.002 --augment 0.1 --dropout 0 --seed 0
learn "$out/voices" --data "$data/train.tsv" --base "$out/begun" --steps 4000 --held-out 0.005 --learning-rate 0.002 \
    --augment 0.25 --dropout 0 --seed 1
for name in $names; do
    grep -v '_[0-4]\.wav' "$data/digits-$name.tsv"
done > "$data/learn-once.tsv"
for name in $names; do
    grep '_[0-4]\.wav' "$data/digits-$name.tsv"
done > "$data/test-digits.tsv"
# eight times, so that a third of what is heard is digits
for _ in 1 2 3 4 5 6 7 8; do
    cat "$data/learn-once.tsv"
done > "$data/learn-digits.tsv"
learn "$out" --data "$data/train.tsv" "$data/learn-digits.tsv" --base "$out/voices" --steps 900 --held-out 0.005 \
    --learning-rate 0.001 --augment 0.5 --dropout 0.05 --seed 2
for test in test-digits test-seen test-unseen; do
    echo "$test"
    "$speech_rec" score --model "$out" --language en --reference "$data/$test.tsv"
done

[ $# -eq 3 ] || exit 0
awk 'NR % 10 == 0' "$data/train.tsv" > "$data/few.tsv"
for name in $names; do
    for other in $names; do
        [ "$other" = "$name" ] || cat "$data/digits-$other.tsv" "$data/digits-$other.tsv"
    done > "$data/without-$name.tsv"
    learn "$out/without-$name" --data "$data/few.tsv" "$data/without-$name.tsv" --base "$out/voices" --steps 150 --held-out 0 \
        --learning-rate 0.0007 --augment 0.3 --dropout 0 --seed 3
    echo "$name"
    "$speech_rec" score --model "$out/without-$name" --language en --reference "$data/digits-$name.tsv"
done
