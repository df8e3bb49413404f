#!/bin/sh
# All methods on one split, every item ranked.
#
#   scripts/bench/recommend/compare.sh RATINGS.csv WIKIPEDIA.txt OUT/
#
# RATINGS.csv    ml-latest-small's ratings
# WIKIPEDIA.txt  pages that people edited, `user page` a line in the order of time (157,474 lines)
# OUT/           gets a table and a chart of each
set -eu
if [ $# -ne 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
fi
cargo build --release -p recommend
recommend=${CARGO_TARGET_DIR:-target}/release/recommend
mkdir -p "$3"
methods=popular,itemknn,ease,ials,multvae,sasrec,gsasrec
for protocol in full strong; do
    "$recommend" compare --data "$1" --protocol $protocol --methods $methods --seed 0 --force -o "$3/films-$protocol.png" \
        | tee "$3/films-$protocol.txt"
done
# pages come again
"$recommend" compare --data "$2" --repeats --protocol full --methods $methods --seed 0 --force -o "$3/wikipedia-full.png" \
    | tee "$3/wikipedia-full.txt"
