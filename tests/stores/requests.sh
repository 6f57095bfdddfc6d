# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Requests by curl to an object store on loopback, and waiting for it. Sourced.

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# answers PORT: some HTTP server is there.
answers() { curl -s -o /dev/null -m 5 "http://127.0.0.1:$1/"; }

# free_ports COUNT: the first of so many, one after the other, that nobody listens to just now.
free_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys

def is_free(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0

while True:
    first = random.randrange(20000, 32000)
    if all(is_free(port) for port in range(first, first + int(sys.argv[1]))):
        print(first)
        break
PYTHON
}

# s3 METHOD PATH [CURL-OPTION...]: a signed request to $AWS_ENDPOINT_URL, by curl itself.
s3() {
  local method=$1 path=$2
  shift 2
  curl -sS -m 60 -X "$method" --aws-sigv4 aws:amz:us-east-1:s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$AWS_ENDPOINT_URL$path"
}

# in_query TEXT: a slash is signed by its number; curl signs what it is given.
in_query() { echo "${1//\//%2F}"; }

# names_in_ceph BUCKET [PREFIX]: of all objects.
names_in_ceph() {
  s3 GET "/$1?list-type=2&prefix=$(in_query "${2:-}")" | grep -o "<Key>[^<]*" | sed "s/<Key>//" || true
}

# uploads_in BUCKET PREFIX: how many are open in Ceph.
uploads_in() { s3 GET "/$1?prefix=$(in_query "${2:-}")&uploads=" | grep -o '<UploadId>' | wc -l; }
