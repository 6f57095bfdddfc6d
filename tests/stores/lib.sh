# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts in tests/stores share: two object stores on loopback, requests to them by curl, and the credentials
# of both, as a machine that runs finds them. Sourced; whoever does ends both by ceph_stop and swift_stop.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
# shellcheck source=tests/stores/requests.sh
source "$(dirname "${BASH_SOURCE[0]}")/requests.sh"
# shellcheck source=tests/stores/ceph.sh
source "$(dirname "${BASH_SOURCE[0]}")/ceph.sh"
# shellcheck source=tests/stores/swift.sh
source "$(dirname "${BASH_SOURCE[0]}")/swift.sh"

# own_place: what the environment says of stores is not meant for these.
own_place() {
  export HOME=$work TINTYPE_STORE_PATIENCE=60
  unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL_S3 AWS_SESSION_TOKEN
}

say_what_stores_miss() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "skip ${0##*/}: there is no $program: run tools/setup stores"; exit; }
  done
  ((EUID == 0)) || { echo "skip ${0##*/}: only root can start these object stores"; exit; }
}

use_ceph() {
  export AWS_ENDPOINT_URL=http://127.0.0.1:$ceph_port AWS_ACCESS_KEY_ID=$ceph_key AWS_SECRET_ACCESS_KEY=$ceph_secret
}
use_swift() {
  export AWS_ENDPOINT_URL=http://127.0.0.1:$swift_port AWS_ACCESS_KEY_ID=$swift_key AWS_SECRET_ACCESS_KEY=$swift_secret
}
ceph_with_a_film() {
  mkdir "$work/ceph" && ceph_start "$work/ceph" "$(free_ports 1)" "$(free_ports 1)" && use_ceph && s3 PUT /film
}

# The credentials, for a machine: it does not have the environment of whoever calls it.
profile() {
  mkdir -p "$work/.aws"
  printf '[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$@" >>"$work/.aws/credentials"
}
without_credentials() { env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$@"; }

start_film() {
  truncate -s 4M "$work/disk.raw"
  without_credentials "$tintype" run --kernel "$images/ticker.elf" --append 'hz=100 every=10 slack=100000000' \
    --memory 64M --name film --detach --serial "file:$work/serial" --disk "$work/disk.raw" &&
    until_true 20 grep -q TICK "$work/serial"
}
newest_in() { "$tintype" show "$1" --json | jq '.checkpoints[-1].id'; }
