# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# OpenStack Swift on loopback, with its S3 face: a proxy and three servers, one device, one replica. Sourced by
# tests/stores/lib.sh.

swift_key=test:tester swift_secret=testing
swift_pids=()

# swift_server DIRECTORY PORT: how the configuration of each server begins.
swift_server() {
  cat <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
workers = 0
user = $(id -un)
swift_dir = $1/conf
log_address = $1/log
CONF
}

# swift_start DIRECTORY FIRST-PORT: it takes five ports; the first is the proxy's, the last the cache's, for tokens.
swift_start() {
  local dir=$1 kind port=$2
  swift_port=$2
  mkdir -p "$dir"/{conf,node/d1,cache}
  printf '[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n' >"$dir/conf/swift.conf"
  for kind in account container object; do
    port=$((port + 1))
    swift-ring-builder "$dir/conf/$kind.builder" create 4 1 1 >/dev/null
    swift-ring-builder "$dir/conf/$kind.builder" add "r1z1-127.0.0.1:$port/d1" 1 >/dev/null
    swift-ring-builder "$dir/conf/$kind.builder" rebalance >/dev/null
    { swift_server "$dir" "$port" && cat; } >"$dir/conf/$kind.conf" <<CONF
devices = $dir/node
mount_check = false
fallocate_reserve = 0
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
CONF
  done
  local filters='catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api tempauth'
  { swift_server "$dir" "$swift_port" && cat; } >"$dir/conf/proxy.conf" <<CONF
[pipeline:main]
pipeline = $filters container-quotas slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$((swift_port + 4))
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
s3_acl = no
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
CONF
  memcached -u root -l 127.0.0.1 -p $((swift_port + 4)) -m 8 >"$dir/cache.out" 2>&1 &
  swift_pids+=($!)
  for kind in account container object proxy; do
    in_own_swift "$dir/conf" "swift-$kind-server" "$dir/conf/$kind.conf" >"$dir/$kind.out" 2>&1 &
    swift_pids+=($!)
  done
  for ((port = swift_port; port < swift_port + 4; port++)); do wait_for 60 answers "$port" || return; done
}

# in_own_swift CONF COMMAND...: with that directory as /etc/swift, for this command alone.
in_own_swift() {
  exec unshare -m bash -c "mkdir -p /etc/swift && mount --bind \"\$0\" /etc/swift && exec \"\$@\"" "$@"
}

# swift_api METHOD /CONTAINER [CURL-OPTION...]: in Swift's own language, which also says what S3 has no words for.
swift_api() {
  local method=$1 path=$2 token
  shift 2
  token=$(curl -sS -m 30 -D - -o /dev/null -H "X-Auth-User: $swift_key" -H "X-Auth-Key: $swift_secret" \
    "http://127.0.0.1:$swift_port/auth/v1.0" | tr -d '\r' | sed -n 's/^X-Auth-Token: //Ip')
  curl -sS -m 30 -f -X "$method" -H "X-Auth-Token: $token" "$@" "http://127.0.0.1:$swift_port/v1/AUTH_test$path"
}

# names_in_swift CONTAINER [PREFIX]
names_in_swift() { swift_api GET "/$1?prefix=${2:-}"; }

swift_stop() {
  kill "${swift_pids[@]}" 2>/dev/null || true
  wait "${swift_pids[@]}" 2>/dev/null || true
}
