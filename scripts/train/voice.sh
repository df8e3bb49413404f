#!/bin/sh
# Trains an English voice of speech-synth on what a free synthesiser reads aloud, and measures it.
#
#   scripts/train/voice.sh TEXTS/ OUT/
#
# TEXTS/  English books as .txt files
# OUT/    becomes the voice; a run that was cut off goes on from there. OUT/recordings gets what flite's slt reads, with its
#         labels, OUT/unseen 50 recordings of other sentences, OUT/heard what recognisers are asked about
#
# Forty minutes on two quiet cores, and a quarter of an hour to measure; needs what prepare_voice.py and measure_voice.py need.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
here=$(dirname "$0")
cargo build --release -p speech-synth -p speech-rec
speech_synth=${CARGO_TARGET_DIR:-target}/release/speech-synth
texts=$1 out=$2
mkdir -p "$out"
[ -e "$out/recordings/metadata.csv" ] || "$here/prepare_voice.py" "$texts" "$out/recordings"
if [ ! -e "$out/config.json" ]; then
    "$speech_synth" train --data "$out/recordings" --out "$out" --steps 4500 --batch 1600 --learning-rate 0.001 --seed 0
fi
mkdir -p "$out/unseen/wavs"
head -n 50 "$out/recordings/unseen.txt" | awk '{ printf "%03d|%s\n", NR, $0 }' > "$out/unseen/metadata.csv"
while IFS='|' read -r name text; do
    [ -s "$out/unseen/wavs/$name.lab" ] ||
        flite -voice slt -psdur -t "$text" -o "$out/unseen/wavs/$name.wav" > "$out/unseen/wavs/$name.lab"
done < "$out/unseen/metadata.csv"
"$speech_synth" evaluate --model "$out" --data "$out/unseen"
"$here/measure_voice.py" "$out" "$out/recordings/unseen.txt" "$out/heard"
