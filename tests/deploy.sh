#!/usr/bin/env bash
# deploy/nginx/cd7match.conf before two instances: TLS, limits, and what happens when one of them is killed under load.
# Usage: tests/deploy.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT

fail() {
    echo "deploy: $*" >&2
    exit 1
}

# Starts an instance on a free port: its process and port become $process and $port.
start() {
    "$program" serve --port 0 --as-of 2025-11-13 --store "$folder/$1.db" 2>"$folder/$1.log" &
    process=$!
    for _ in $(seq 200); do
        port=$(sed -n 's/.*listens on http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/$1.log")
        [ -n "$port" ] && return
        sleep 0.05
    done
    fail "instance $1 does not listen"
}

start one && first=$process && onePort=$port
start two && twoPort=$port
start spare && front=$port && kill "$process" && { wait "$process" || true; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=cds.example.org \
    -addext subjectAltName=DNS:cds.example.org,IP:127.0.0.1 -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
sed -e "s/:8081/:$onePort/; s/:8082/:$twoPort/; s/listen 443/listen 127.0.0.1:$front/" \
    -e "s#/etc/ssl/certs/cds.example.org.pem#$folder/cert.pem#; s#/etc/ssl/private/cds.example.org.key#$folder/key.pem#" \
    -e "s#/var/log/nginx/cd7match.log#$folder/access.log#" deploy/nginx/cd7match.conf >"$folder/site.conf"
cat >"$folder/nginx.conf" <<CONF
daemon off;
pid $folder/nginx.pid;
error_log $folder/error.log;
events { worker_connections 512; }
http {
    client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
    include $folder/site.conf;
}
CONF
nginx -p "$folder" -c "$folder/nginx.conf" -e "$folder/error.log" &
url=https://127.0.0.1:$front
ask() { curl -s --cacert "$folder/cert.pem" -o /dev/null -w '%{http_code}\n' "$@"; }
post() { ask -H 'Content-Type: application/json' --data-binary "@$1" "$url/cds-services/cd7-trials"; }
for _ in $(seq 200); do
    [ "$(ask "$url/health/ready" || true)" = 200 ] && break
    sleep 0.05
done

[ "$(ask "$url/cds-services")" = 200 ] || fail "discovery"
[ "$(post fixtures/hooks/patient-view.json)" = 200 ] || fail "a hook"
[ "$(ask "$url/fhir/Questionnaire/NCT07117305")" = 200 ] || fail "a form"
[ "$(ask "$url/metrics")" = 404 ] || fail "metrics are seen from outside"
head -c 17000000 /dev/zero >"$folder/large"
[ "$(post "$folder/large")" = 413 ] || fail "a body above the limit"
openssl s_client -connect "127.0.0.1:$front" -tls1_2 </dev/null >/dev/null 2>&1 || fail "TLS 1.2"
if openssl s_client -connect "127.0.0.1:$front" -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null >/dev/null 2>&1; then
    fail "TLS 1.1 is spoken"
fi
echo "deploy: TLS, paths and limits are as the configuration says"

# Four clients, one instance killed in the middle. Each client has one request in flight.
clients=4
for client in $(seq $clients); do
    (for _ in $(seq 60); do
        post fixtures/hooks/patient-view.json || echo 000
        sleep 0.05
    done >"$folder/client$client") &
    loads+=($!)
done
sleep 1
kill -9 "$first" && { wait "$first" || true; } 2>/dev/null
wait "${loads[@]}"
answered=$(cat "$folder"/client? | wc -l)
failed=$(cat "$folder"/client? | grep -vc '^200$' || true)
echo "deploy: $answered requests, $failed failed when one of two instances was killed"
[ "$answered" -eq $((clients * 60)) ] || fail "requests are missing"
[ "$failed" -le "$clients" ] || fail "more failed than were in flight"
[ "$(post fixtures/hooks/patient-view.json)" = 200 ] || fail "the other instance does not answer"

# One caller beyond the rate is told so; he gets answers again afterwards.
many=$(seq 500 | xargs -P 8 -I{} curl -s --cacert "$folder/cert.pem" -o /dev/null -w '%{http_code}\n' "$url/cds-services" | sort | uniq -c)
echo "$many" | grep -q ' 200$' || fail "the rate limit lets nothing through"
echo "deploy: 500 requests at once:" $many
