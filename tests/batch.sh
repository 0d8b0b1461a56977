#!/usr/bin/env bash
# deploy/batch: the body of the Slurm array, run by hand over partitions of the examples, gives what one machine gives. One task is
# killed, one partition cannot be read as a whole, and tasks are repeated.
# Usage: tests/batch.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
batch=$(realpath deploy/batch)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "batch: $*" >&2
    exit 1
}

stories=(fixtures/patients/*/bundle.json)
for index in 0 1 2; do
    for ((i = index; i < ${#stories[@]}; i += 3)); do
        tr -d '\n' <"${stories[i]}" && echo
    done >"$folder/part$index.ndjson"
done
mkdir "$folder/export"
echo '{"resourceType":"Patient","id":"a"}' >"$folder/export/Patient.000.ndjson"
printf '%s\n' part0.ndjson part1.ndjson part2.ndjson export >"$folder/partitions.txt"
cd "$folder"
alone=0
"$program" replay "$folder"/part?.ndjson "$folder/export" --as-of 2025-11-13 --format ndjson >alone 2>alone.log || alone=$?

export CD7MATCH=$program CD7MATCH_BATCH=$batch AS_OF=2025-11-13
task() { SLURM_ARRAY_TASK_ID=$1 bash "$batch/slurm.sbatch"; }
# A program that is killed when half of its results are written.
cat >dies <<TEXT
#!/usr/bin/env bash
"$program" "\$@"
truncate -s 50% part-00000.ndjson
kill -9 \$\$
TEXT
chmod +x dies
if CD7MATCH=$folder/dies task 0 2>/dev/null; then fail "a task whose program is killed ends well"; fi
[ -z "$(ls -A results)" ] || fail "half a result is left: $(ls -A results)"
for index in 0 1 3 1; do task $index 2>/dev/null || fail "task $index fails"; done
status=0
"$batch/check-partitions" partitions.txt results 2>log || status=$?
[ $status = 1 ] && grep -q 'partition 2 is not done: part2.ndjson' log || fail "a partition that is missing is not named"
task 2 2>/dev/null &
task 2 2>/dev/null # two at once: Slurm gave up on a node that goes on
wait
status=0
"$batch/check-partitions" partitions.txt results 2>log || status=$?
[ $status = $alone ] || fail "exit status $status, not $alone"
grep -q "$(tail -n 1 alone.log | grep -o '[0-9]* of [0-9]* inputs could not be evaluated')" log || fail "the counts are others: $(tail -n 1 log)"
[ "$(ls -A results | grep -c '^\.')" = 0 ] || fail "something is left over: $(ls -A results)"
LC_ALL=C sort results/*.ndjson | cmp - <(LC_ALL=C sort alone) || fail "the results are not those of one machine"
status=0
task 4 2>/dev/null || status=$?
[ $status = 2 ] || fail "an index beyond the list: exit status $status"
AS_OF=never task 0 >/dev/null 2>&1 || fail "a partition that is done is done again"
rm results/part-00000.ndjson
status=0
AS_OF=never task 0 2>/dev/null || status=$?
[ $status = 2 ] || fail "a wrong option: exit status $status"
echo "batch: $(wc -l <alone) results in 4 partitions, those of one machine"
