#!/usr/bin/env bash
# Replays every file of the folder in CD7MATCH_CORPUS: no crash, and each file is either evaluated or named with a reason.
set -u
program=$1
if [ -z "${CD7MATCH_CORPUS:-}" ]; then
    echo "skipped: CD7MATCH_CORPUS names no folder"
    exit 77
fi
[ -d "$CD7MATCH_CORPUS" ] || {
    echo "CD7MATCH_CORPUS is not a folder"
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$CD7MATCH_CORPUS" -type f -print0 | sort -z >"$work/files"
count=$(tr -cd '\0' <"$work/files" | wc -c)
[ "$count" -gt 0 ] || {
    echo "the folder holds no file"
    exit 1
}
# All in one run, so that one bad file would be seen to stop the others.
xargs -0 "$program" replay --format ndjson --as-of latest --covers all <"$work/files" >"$work/out" 2>"$work/err"
status=$?
failed=0
if [ $status -ne 123 ] && [ $status -ne 0 ]; then
    # xargs says 123 when the program ended with a status from 1 to 125.
    echo "the program did not end by itself (xargs: $status)"
    failed=1
fi
grep -q "inputs could not be evaluated" "$work/err" || {
    echo "the summary is missing"
    failed=1
}
while IFS= read -r -d '' file; do
    if ! grep -qF "\"file\":\"$file\"" "$work/out" && ! grep -qF "$file" "$work/err"; then
        echo "neither evaluated nor reported: $file"
        failed=1
    fi
done <"$work/files"
grep -n "AddressSanitizer\|runtime error\|ThreadSanitizer" "$work/err" && failed=1
echo "$count files, $(wc -l <"$work/out") charts evaluated, $(grep -c ' error: ' "$work/err") messages"
exit $failed
