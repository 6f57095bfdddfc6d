# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts in tests/stores share: two object stores on loopback, and requests to them by curl.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
# shellcheck source=tests/stores/requests.sh
source "$(dirname "${BASH_SOURCE[0]}")/requests.sh"
# shellcheck source=tests/stores/ceph.sh
source "$(dirname "${BASH_SOURCE[0]}")/ceph.sh"
# shellcheck source=tests/stores/swift.sh
source "$(dirname "${BASH_SOURCE[0]}")/swift.sh"
