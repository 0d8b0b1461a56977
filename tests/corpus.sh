#!/usr/bin/env bash
# Replays every file of the folder in CD7MATCH_CORPUS: no crash, and each file is either evaluated or named with a reason.
set -u
program=$1
if [ -z "${CD7MATCH_CORPUS:-}" ]; then
    echo "skipped: CD7MATCH_CORPUS names no folder"
    exit 77
fi
if [ ! -d "$CD7MATCH_CORPUS" ]; then
    echo "CD7MATCH_CORPUS is not a folder"
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
count=0
while IFS= read -r -d '' file; do
    count=$((count + 1))
    "$program" replay "$file" --format ndjson --as-of latest --covers all >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ $status -ne 0 ] && [ $status -ne 3 ]; then
        echo "exit status $status: $file"
        head -20 "$work/err"
        failed=$((failed + 1))
    elif [ ! -s "$work/out" ] && ! grep -qF "$file" "$work/err"; then
        echo "neither evaluated nor reported: $file"
        failed=$((failed + 1))
    elif [ $status -eq 0 ] && [ ! -s "$work/out" ]; then
        echo "nothing evaluated, and no failure said so: $file"
        failed=$((failed + 1))
    fi
done < <(find "$CD7MATCH_CORPUS" -type f -print0)
echo "$count files, $failed problems"
[ $count -gt 0 ] && [ $failed -eq 0 ]
