#!/usr/bin/env bash
# The program as its users meet it: it names itself, explains its options, replays, serves over HTTP, and stops when told.
set -euo pipefail
program=$1
work=$(mktemp -d)
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() {
    echo "smoke test: $*" >&2
    exit 1
}
# status EXPECTED COMMAND...: runs it, and checks how it ends.
status() {
    local expected=$1 got=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
    [ "$got" -eq "$expected" ] || { cat "$work/err" >&2; fail "exit status $got, not $expected: $*"; }
}

status 0 "$program" --version
grep -q '^cd7match [0-9]' "$work/out" || fail "--version does not name the program"
status 0 "$program" replay --help
grep -q -- '--as-of' "$work/out" || fail "--help of replay does not name --as-of"
status 2 "$program" replay
status 2 "$program" replay --as-of yesterday fixtures/hooks
status 2 "$program" replay --trial NCT00000000 fixtures/hooks
status 2 "$program" replay --explain inc.99z fixtures/hooks
status 0 "$program" trials check
status 2 "$program" trials check fixtures/hooks/patient-view.json
status 3 "$program" replay "$work/none.json"
grep -q 'none.json: ' "$work/err" || fail "a file that is not there is not named"

story=fixtures/patients/gilbert-bilirubin-at-2.5-uln/bundle.json
status 0 "$program" replay "$story" --as-of 2025-11-13 --covers Condition --format ndjson
grep -q '"id":"inc.08b","truth":"true"' "$work/out" || fail "the Gilbert story came out otherwise"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "more than results on standard output"
gzip -c "$story" >"$work/chart.json.gz"
status 0 "$program" replay "$work/chart.json.gz" --as-of 2025-11-13
status 0 bash -c "'$program' replay - --as-of 2025-11-13 --format markdown <'$story'"

# A disk that is full, here a limit on the size of files: it is said, what was written stays, and --resume ends with the
# bytes of a run in one piece.
for _ in $(seq 40); do tr -d '\n' <"$story" && echo; done >"$work/forty.ndjson"
onFullDisk() { bash -c "trap '' XFSZ; ulimit -f 300; exec \"\$@\"" - "$@"; }
status 0 "$program" replay "$work/forty.ndjson" --as-of 2025-11-13 --output "$work/whole.ndjson"
status 3 onFullDisk "$program" replay "$work/forty.ndjson" --as-of 2025-11-13 --output "$work/full.ndjson"
grep -q 'cannot be written' "$work/err" || fail "a full disk is not said"
[ ! -e "$work/full.ndjson.manifest.json" ] || fail "a manifest stands beside what is not whole"
status 0 "$program" replay "$work/forty.ndjson" --as-of 2025-11-13 --output "$work/full.ndjson" --resume
cmp -s "$work/whole.ndjson" "$work/full.ndjson" || fail "after a full disk --resume ends with other bytes"
status 3 onFullDisk "$program" facts "$work/forty.ndjson" --as-of 2025-11-13 --output "$work/full.facts"
grep -q 'full.facts: cannot be written' "$work/err" || fail "a full disk is not said when facts are written"
[ -z "$(find "$work" -name 'full.facts*')" ] || fail "facts that are not whole are left behind"

# An amendment, from the facts of a cohort.
status 0 "$program" facts "$work/forty.ndjson" --as-of 2025-11-13 --output "$work/forty.facts"
status 0 "$program" replay --facts "$work/forty.facts" --against "$work/whole.ndjson" --format table
grep -q '^40 charts compared$' "$work/out" || fail "charts are not compared with an earlier output"
cp "$work/out" "$work/moved"
status 0 "$program" replay "$work/forty.ndjson" --as-of 2025-11-13 --against "$work/whole.ndjson" --format table
cmp -s "$work/out" "$work/moved" || fail "facts and charts move otherwise"
status 2 "$program" replay --facts "$work/forty.facts" "$story"
status 2 "$program" replay "$work/forty.ndjson" --against "$work/whole.ndjson" --summary

status 0 bash -c "printf 'Patient.0.ndjson\nlog.ndjson\n' | '$program' bulk files"
[ "$(cat "$work/out")" = "Patient	Patient.0.ndjson" ] || fail "the files of an export are not known by their names"
status 0 bash -c "printf '\tline\tPatient\t\t0\tPatient.0.ndjson\t1\t0\t{\"resourceType\":\"Patient\",\"id\":\"a\"}\n' | '$program' bulk lines |
    '$program' replay - --rows --as-of 2025-11-13"
grep -q '"source":{"file":"Patient.0.ndjson","line":1}' "$work/out" || fail "rows are not replayed"
status 2 bash -c "echo '{}' | '$program' bulk lines"
status 2 "$program" replay "$story" --rows
status 0 "$program" replay "$story" --as-of 2025-11-13 --covers all --output "$work/out.ndjson" --summary --report "$work/report.html"
grep -q '^1 chart evaluated, 0 could not be read; as of 2025-11-13' "$work/out" || fail "the summary is not printed beside --output"
grep -q '<title>CD7 trials: 1 chart as of 2025-11-13</title>' "$work/report.html" || fail "no page"
status 2 "$program" replay "$story" --summary --format ndjson
grep -q -- '--summary: is printed instead of' "$work/err" || fail "a summary in the middle of NDJSON is not refused"
status 2 "$program" replay "$story" --report "$work/none/report.html"
[ ! -s "$work/out" ] || fail "something was evaluated for a page that cannot be written"

status 0 "$program" audit fixtures/patients/*/bundle.json --as-of latest
grep -q 'facts of the trials have a usable value' "$work/out" || fail "the audit does not sum up"
status 3 "$program" audit "$story" "$work/missing.json" --as-of latest --format json
grep -q '"failed":1' "$work/out" || fail "the audit does not count what could not be read"
status 0 "$program" site check docs/site.example.json
echo '{"trials":{"NCT07109518":{"status":{"value":"recruiting","asOf":"2999-01-01"}}}}' >"$work/site.json"
status 2 "$program" site check "$work/site.json"
grep -q 'asOf: 2999-01-01 lies after today' "$work/err" || fail "a status that lies ahead is not named"
echo '{"upperLimits":{"nothing":[]}}' >"$work/site.json"
status 2 "$program" replay "$story" --site "$work/site.json"
grep -q "site.json: /upperLimits/nothing: unknown fact 'nothing'" "$work/err" || fail "a wrong overlay is not named"
status 0 "$program" trials questionnaire NCT07117305 --chart "$story" --as-of 2025-11-13
grep -q '"resourceType":"Questionnaire"' "$work/out" || fail "no screening form"
status 2 "$program" trials questionnaire NCT00000000

"$program" serve --port 0 --as-of 2025-11-13 --store "$work/feedback.db" 2>"$work/log" &
server=$!
port=""
for _ in $(seq 200); do
    port=$(sed -n 's|.*listens on http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$work/log")
    [ -z "$port" ] || break
    sleep 0.05
done
[ -n "$port" ] || { cat "$work/log" >&2; fail "the service does not listen"; }
base="http://127.0.0.1:$port"
# answers CODE CURL-ARGUMENTS...: the HTTP status; the body is in $work/body.
answers() {
    local expected=$1 got
    shift
    got=$(curl -s -o "$work/body" -w '%{http_code}' -H 'Content-Type: application/json' "$@")
    [ "$got" = "$expected" ] || { cat "$work/body" >&2; fail "HTTP $got, not $expected: $*"; }
}
answers 200 "$base/cds-services"
grep -q '"id":"cd7-trials"' "$work/body" || fail "discovery does not name the service"
answers 200 -d @fixtures/hooks/patient-view.json "$base/cds-services/cd7-trials"
grep -q '"indicator":"info"' "$work/body" || fail "no card for a patient in relapse"
card=$(sed 's/.*"uuid":"\([^"]*\)","summary".*/\1/' "$work/body")
answers 200 -d '{"feedback":[{"card":"'"$card"'","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z","overrideReason":{"reason":{"code":"not-now"}}}]}' \
    "$base/cds-services/cd7-trials/feedback"
status 0 "$program" feedback --store "$work/feedback.db" --format csv
grep -q ',NCT07109518,1,0,1,0,0,0,1,' "$work/out" || fail "feedback is not reported"
answers 200 "$base/health/ready"
answers 200 "$base/metrics"
grep -q 'cd7match_feedback_total{outcome="overridden"} 1' "$work/body" || fail "the metrics do not count feedback"
answers 400 -d '{' "$base/cds-services/cd7-trials"
grep -q OperationOutcome "$work/body" || fail "an error without an OperationOutcome"
answers 412 -d '{"hook":"patient-view","hookInstance":"x","context":{"userId":"Practitioner/1","patientId":"1"}}' \
    "$base/cds-services/cd7-trials"
answers 200 "$base/fhir/Questionnaire/NCT07117305"
grep -q '"id":"NCT07117305"' "$work/body" || fail "the service does not hand out the screening form"
answers 404 "$base/nothing"
answers 405 "$base/cds-services/cd7-trials"
! grep -q 'Practitioner\|example' "$work/log" || fail "the log holds what the client sent"
status 2 "$program" serve --port "$port" --store none
grep -q "$port" "$work/err" || fail "the port in use is not named"
status 0 "$program" serve --print-config --port 9000
grep -q '^port=9000' "$work/out" || fail "the configuration is not printed"
status 2 "$program" serve --port 70000 --store none
grep -q -- '--port: 70000 does not lie' "$work/err" || fail "a wrong option is not named"
status 0 "$program" ehr-table
grep -q 'cd7-trials-order-sign' "$work/out" || fail "no table for analysts"
kill -TERM "$server"
wait "$server" || fail "the service does not end with status 0"
server=""
echo "smoke test: ok"
