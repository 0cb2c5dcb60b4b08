#!/bin/sh
# Makes the Secrets of overlays/small, once: a password of its Valkey, and API keys of an administrator and of Prometheus.
# `driftgauge` must be on PATH; it makes the keys here, and only their hashes are kept. KUBECTL names another kubectl.
set -eu
umask 077
kubectl=${KUBECTL:-kubectl}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/driftgauge" "$folder/scrape" # a file a variable: an argument would be seen in the list of processes
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf %s "$password" >"$folder/driftgauge/VALKEY_PASSWORD"
printf %s "redis://:$password@driftgauge-redis:6379/0" >"$folder/driftgauge/DRIFTGAUGE_REDIS_URL"
export DRIFTGAUGE_KEYS_FILE="$folder/keys.json"
driftgauge keys create prometheus --scope read 2>"$folder/said" | tr -d '\n' >"$folder/scrape/key"
key=$(driftgauge keys create administrator --scope admin 2>"$folder/said")
$kubectl --namespace driftgauge create secret generic driftgauge --from-file="$folder/driftgauge"
$kubectl --namespace driftgauge create secret generic driftgauge-keys --from-file="$folder/keys.json"
$kubectl --namespace driftgauge create secret generic driftgauge-scrape --from-file="$folder/scrape"
echo "The key of the administrator, which is shown only now: $key"
