#!/bin/sh
# Trains the small model of recommend, films of MovieLens, and measures it.
#
#   scripts/train/films.sh RATINGS.csv MOVIES.csv OUT/
#
# RATINGS.csv, MOVIES.csv  GroupLens' ml-latest-small
# OUT/                     becomes the model; a run that was cut off goes on from there
#
# Films that fewer than five people rated are left out. Minutes on two cores.
set -eu
if [ $# -ne 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p recommend --no-default-features
recommend=${CARGO_TARGET_DIR:-target}/release/recommend
"$recommend" train --data "$1" --items "$2" --min-item 5 --method itemknn --neighbours 50 --seed 0 --no-histories --out "$3"
# on last items of each person and on people that nothing was learned from, beside the other methods
for protocol in full strong; do
    "$recommend" compare --data "$1" --protocol $protocol --min-item 5 --seed 0 --force -o "$3/$protocol.png"
done
