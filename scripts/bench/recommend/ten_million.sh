#!/bin/sh
# Ten million rows of made-up people: time and memory of each method.
#
#   scripts/bench/recommend/ten_million.sh OUT/ [METHOD...]
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,4s/^# \{0,1\}//p' "$0"
    exit 2
fi
out=$1
shift
cargo build --release -p recommend
recommend=${CARGO_TARGET_DIR:-target}/release/recommend
mkdir -p "$out"
[ -f "$out/rows.csv" ] || python3 "$(dirname "$0")/rows.py" 10000000 > "$out/rows.csv"
for method in ${*:-ease ials sasrec}; do
    rm -rf "${out:?}/$method"
    minutes=
    [ "$method" = sasrec ] && minutes="--minutes 10"
    # shellcheck disable=SC2086
    /usr/bin/time -f "$method: %e s, %M KB at most" \
        "$recommend" train --data "$out/rows.csv" --method "$method" --out "$out/$method" --no-histories --seed 0 --json $minutes
done
