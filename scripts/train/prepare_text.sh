#!/bin/sh
# Joins the broken lines of books' paragraphs, so that a model learns sentences and not the width of a page.
#
#   scripts/train/prepare_text.sh FROM/ TO/
#
# Every .txt below FROM is written to TO under its path with dashes. Verse is left out: its lines are meant (poesia).
set -eu
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
from=$1 to=$2
# dashes, quotes and dots of Windows-1252 that were taken for control characters of Unicode (C2 80 to C2 9F)
marks='s/\xc2\x85/\xe2\x80\xa6/g; s/\xc2\x91/\xe2\x80\x98/g; s/\xc2\x92/\xe2\x80\x99/g; s/\xc2\x93/\xe2\x80\x9c/g
s/\xc2\x94/\xe2\x80\x9d/g; s/\xc2\x95/\xe2\x80\xa2/g; s/\xc2\x96/\xe2\x80\x93/g; s/\xc2\x97/\xe2\x80\x94/g
s/\xc2[\x80-\x9f]//g'
mkdir -p "$to"
find "$from" -name '*.txt' -not -path '*/poesia/*' -not -name 'LICENSE*' | sort | while IFS= read -r file; do
    name=$(printf '%s' "${file#"$from"}" | sed 's|^/*||; s|/|-|g')
    tr -d '\r' < "$file" | LC_ALL=C sed "$marks" | sed 's/^\xef\xbb\xbf//; s/[[:space:]]*$//' \
        | awk 'BEGIN { RS = ""; ORS = "\n\n" } { gsub(/[ \t]*\n[ \t]*/, " "); gsub(/[ \t]+/, " "); sub(/^ /, ""); print }' > "$to/$name"
done
