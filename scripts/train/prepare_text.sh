#!/bin/sh
# Joins the broken lines of books' paragraphs, so that a model learns sentences and not the width of a page.
#
#   scripts/train/prepare_text.sh FROM/ TO/
#
# Every .txt below FROM is written to TO under its path with dashes. Verse is left out: its lines are meant (poesia).
set -eu
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
from=$1 to=$2
mkdir -p "$to"
find "$from" -name '*.txt' -not -path '*/poesia/*' -not -name 'LICENSE*' | sort | while IFS= read -r file; do
    name=$(printf '%s' "${file#"$from"}" | sed 's|^/*||; s|/|-|g')
    tr -d '\r' < "$file" | sed 's/^\xef\xbb\xbf//; s/[[:space:]]*$//' \
        | awk 'BEGIN { RS = ""; ORS = "\n\n" } { gsub(/[ \t]*\n[ \t]*/, " "); gsub(/[ \t]+/, " "); sub(/^ /, ""); print }' > "$to/$name"
done
