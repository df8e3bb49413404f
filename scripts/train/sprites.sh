#!/bin/sh
# Trains the embedded model of image-gen and measures it.
#
#   scripts/train/sprites.sh TILES/ OUT/
#
# TILES/  the tiles of Dungeon Crawl Stone Soup (crawl/tiles, CC0), with TILES_UNDER_UNKNOWN_LICENSE.md
# OUT/    becomes the model; a run that was cut off goes on from there
#
# Three stages: each goes on from the one before with a high rate once more. Three hours or so on two quiet cores; needs
# Python with Pillow. At last 64 prompts (sprites.txt) are drawn into one picture, and the card's table is printed.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p image-gen
image_gen=${CARGO_TARGET_DIR:-target}/release/image-gen
tiles=$1 out=$2
mkdir -p "$out"
[ -e "$out/pictures/metadata.jsonl" ] || "$(dirname "$0")/prepare_sprites.py" "$tiles" "$out/pictures"

# learn OUT ARGUMENT...: once
learn() {
    model=$1
    shift
    [ -e "$model/model_index.json" ] || "$image_gen" train --data "$out/pictures" --out "$model" --batch 16 "$@" \
        --samples "a cat" "a red dragon" "a sword" "a blue potion" "a skeleton" "a tree" "a spider" "a gold ring"
}

learn "$out/begun" --steps 6600 --learning-rate 0.0008 --seed 0
learn "$out/further" --base "$out/begun" --steps 11000 --learning-rate 0.0006 --seed 1
learn "$out" --base "$out/further" --steps 9000 --learning-rate 0.0006 --seed 2
"$image_gen" "$(dirname "$0")/sprites.txt" --model "$out" --seed 1 --scale 2 --grid -o "$out/sheet"
"$image_gen" evaluate --model "$out" --data "$out/pictures"
