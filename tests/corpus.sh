#!/usr/bin/env bash
# Replays every file of the folder in CD7MATCH_CORPUS: no crash, and each file is either evaluated or named with a reason.
# Posts every file that speaks of a hook, right or wrong, to every service: a card, or an OperationOutcome that says why not.
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
server=""
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
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

"$program" serve --port 0 --as-of 2025-11-13 --store none 2>"$work/log" &
server=$!
port=""
for _ in $(seq 400); do
    port=$(sed -n 's|.*listens on http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$work/log")
    [ -n "$port" ] && break
    sleep 0.05
done
posted=0
while IFS= read -r -d '' file; do
    grep -q '"hook' "$file" || continue
    for service in "" -encounter-start -order-select -order-sign -appointment-book /feedback; do
        path=/cds-services/cd7-trials$service
        answer=$(curl -s -o "$work/answer" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$file" \
            "http://127.0.0.1:$port$path")
        posted=$((posted + 1))
        case $answer in
            200) grep -q '^{"cards":\[' "$work/answer" ;;
            400 | 404 | 412) grep -q '^{"resourceType":"OperationOutcome".*"diagnostics":"' "$work/answer" ;;
            *) false ;;
        esac || {
            echo "$path answers $answer to $file"
            failed=1
        }
    done
done < <(find "$CD7MATCH_CORPUS" -type f -name '*.json' -path '*hook*' -print0 | sort -z)
[ "$posted" -gt 0 ] || {
    echo "no request of a hook was posted"
    failed=1
}
curl -sf -o /dev/null "http://127.0.0.1:$port/health/ready" || {
    echo "the service is not as it was"
    failed=1
}
echo "$posted requests answered"
cat "$work/log" >>"$work/err"
grep -n "AddressSanitizer\|runtime error\|ThreadSanitizer" "$work/err" && failed=1
echo "$count files, $(wc -l <"$work/out") charts evaluated, $(grep -c ' error: ' "$work/err") messages"
exit $failed
