#!/bin/sh
# Trains the embedded model of text-gen and measures it.
#
#   scripts/train/text.sh ENGLISH/ PORTUGUESE/ OUT/
#
# ENGLISH/     books as .txt (Project Gutenberg's classics, as NLTK and others pass them on)
# PORTUGUESE/  the works of Machado de Assis as .txt in UTF-8 (the Machado corpus of NLTK)
# OUT/         becomes the model; a run that was cut off goes on from there
#
# An hour and a half or so on two cores. The model card's table is what the last commands print.
set -eu
if [ $# -ne 3 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p text-gen
text_gen=${CARGO_TARGET_DIR:-target}/release/text-gen
english=$1 portuguese=$2 out=$3
mkdir -p "$out"
if [ ! -e "$out/model.safetensors" ]; then
    "$(dirname "$0")/prepare_text.sh" "$english" "$out/text/en"
    "$(dirname "$0")/prepare_text.sh" "$portuguese" "$out/text/pt"
    "$text_gen" train --data "$out/text/en" "$out/text/pt" --out "$out" --held-out 0.03 --vocabulary 6144 --layers 6 \
        --width 256 --context 512 --batch 8 --learning-rate 0.003 --steps 5000 --seed 0
fi
"$text_gen" evaluate --model "$out" --data "$out/text/en" "$out/text/pt" --held-out 0.03
held=$(wc -c < "$out/held-out.txt")
xz=$(xz -9e -c < "$out/held-out.txt" | wc -c)
echo "| xz -9e | $held | | $(awk "BEGIN { printf \"%.3f\", 8 * $xz / $held }") | |"
