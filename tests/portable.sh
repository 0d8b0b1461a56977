#!/usr/bin/env bash
# The portable build is one file that needs no other, and answers as the full one. Usage: tests/portable.sh PORTABLE PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
fail() {
    echo "portable: $*" >&2
    exit 1
}
! ldd "$1" >/dev/null 2>&1 || fail "it needs libraries: $(ldd "$1")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$1" "$folder/cd7match"
run=("$folder/cd7match")
[ "$(id -u)" -ne 0 ] || run=(chroot "$folder" /cd7match) # with nothing but the file
"${run[@]}" --version >"$folder/version"
cmp "$folder/version" <("$2" --version) || fail "another version"
"${run[@]}" --help | tr -s ' \n' ' ' | grep -q 'it has not serve, screen and feedback' || fail "--help does not say what it has not"
status=0
"${run[@]}" serve 2>/dev/null || status=$?
[ $status = 2 ] || fail "serve: exit status $status"
for bundle in fixtures/patients/*/bundle.json; do tr -d '\n' <"$bundle" && echo; done >"$folder/charts.ndjson"
replay() { "$@" replay - --as-of 2025-11-13 --format ndjson <"$folder/charts.ndjson" 2>/dev/null || [ $? = 3 ]; }
replay "${run[@]}" >"$folder/found"
replay "$2" | cmp - "$folder/found" || fail "other results"
# What a bulk export is put together with: a temporary file.
mkdir "$folder/export" "$folder/tmp"
echo '{"resourceType":"Patient","id":"a"}' >"$folder/export/Patient.000.ndjson"
export=$folder/export
[ "$(id -u)" -ne 0 ] || export=/export
[ "$("${run[@]}" replay "$export" --as-of 2025-11-13 --format ndjson | wc -l)" = 1 ] || fail "no bulk export is read"
echo "portable: one file of $(($(stat -c %s "$1") >> 20)) MB, $(wc -l <"$folder/found") results as those of the full build"
