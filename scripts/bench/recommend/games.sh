#!/bin/sh
# SASRec's "Games" row (Kang and McAuley, 2018, table 3): HR@10 0.7410, NDCG@10 0.5360, the last item of each person among
# 100 that are drawn.
#
#   scripts/bench/recommend/games.sh VIDEO.txt OUT/ [MORE FLAGS]
#
# VIDEO.txt  the paper's table of Amazon's video games, `user item` a line in the order of time (31,013 people)
# OUT/       becomes the model; a run that was cut off goes on from there
#
# The paper's net: two blocks of width 50, one head, 50 items, dropout 0.5, one item drawn against each that came.
set -eu
if [ $# -lt 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
data=$1 out=$2
shift 2
cargo build --release -p recommend
recommend=${CARGO_TARGET_DIR:-target}/release/recommend
"$recommend" evaluate --data "$data" --protocol sampled100 --method sasrec --out "$out" --width 50 --blocks 2 --heads 1 \
    --longest 50 --dropout 0.5 --norm query --negatives 1 --batch 128 --learning-rate 0.001 --epochs 200 --patience 15 \
    --seed 0 --json "$@"
