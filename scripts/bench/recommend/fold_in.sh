#!/bin/sh
# The same people, once learned from and once not: how much is lost by folding them in.
#
#   scripts/bench/recommend/fold_in.sh VIDEO.txt OUT/ [FLAGS OF THE TRAINING]
#
# Of every tenth person the last item is foretold from those before, by a model that learned from those before (OUT/with) and by
# one that never met the person (OUT/without).
set -eu
if [ $# -lt 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
fi
data=$1 out=$2
shift 2
cargo build --release -p recommend
recommend=${CARGO_TARGET_DIR:-target}/release/recommend
mkdir -p "$out"
# rows of a person lie together, in the order of time
awk -v dir="$out" '
    function flush(  i, last) {
        last = count > 2 ? count - 1 : count
        for (i = 1; i <= last; i++) {
            print rows[i] > (dir "/with.txt")
            if (person % 10 != 0) print rows[i] > (dir "/without.txt")
        }
        if (person % 10 == 0 && count > 2) for (i = 1; i <= count; i++) print rows[i] > (dir "/people.txt")
        count = 0
    }
    $1 != person { if (NR > 1) flush(); person = $1 }
    { rows[++count] = $0 }
    END { flush() }' "$data"
for part in with without; do
    "$recommend" train --data "$out/$part.txt" --out "$out/$part" --seed 0 -q "$@"
done
"$recommend" evaluate --data "$out/people.txt" --model "$out/with" --against "$out/without" --seed 0
