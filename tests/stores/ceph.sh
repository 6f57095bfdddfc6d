# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Ceph on loopback, as small as it can be: a monitor, one OSD that keeps everything in memory, the S3 gateway. Each is a
# process of this shell and ends by its own id. What was deleted goes within seconds, not hours: a store that is full
# does not even let its gateway start. Sourced, after requests.sh.

ceph_key=ceph-test-key ceph_secret=ceph-test-secret
ceph_pids=() ceph_gateway=

# ceph_start DIRECTORY MON-PORT S3-PORT
ceph_start() {
  ceph_dir=$1 ceph_mon_port=$2 ceph_port=$3
  local id
  id=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$ceph_dir"/{mon,osd,rgw,run}
  cat >"$ceph_dir/ceph.conf" <<CONF
[global]
fsid = $id
mon host = [v1:127.0.0.1:$ceph_mon_port]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
run dir = $ceph_dir/run
admin socket = $ceph_dir/run/\$name.asok
log file = $ceph_dir/run/\$name.log
mon data = $ceph_dir/mon
osd data = $ceph_dir/osd
osd objectstore = memstore
memstore device bytes = 4294967296
public addr = 127.0.0.1
ms bind msgr2 = false
mon data avail warn = 1
mon data avail crit = 0
rgw frontends = beast endpoint=127.0.0.1:$ceph_port
rgw data = $ceph_dir/rgw
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
CONF
  monmaptool --create --addv a "[v1:127.0.0.1:$ceph_mon_port]" --fsid "$id" "$ceph_dir/monmap" >/dev/null
  ceph-mon -c "$ceph_dir/ceph.conf" --mkfs -i a --monmap "$ceph_dir/monmap" >/dev/null
  ceph-mon -c "$ceph_dir/ceph.conf" -f -i a >"$ceph_dir/run/mon.out" 2>&1 &
  ceph_pids+=($!)
  id=$(cat /proc/sys/kernel/random/uuid)
  timeout 60 ceph -c "$ceph_dir/ceph.conf" osd new "$id" >/dev/null
  ceph-osd -c "$ceph_dir/ceph.conf" -i 0 --mkfs --osd-uuid "$id" >/dev/null 2>&1
  ceph-osd -c "$ceph_dir/ceph.conf" -f -i 0 >"$ceph_dir/run/osd.out" 2>&1 &
  ceph_pids+=($!)
  wait_for 60 ceph_osd_is_up
  timeout 120 radosgw-admin -c "$ceph_dir/ceph.conf" user create --uid=t --display-name=t --access-key=$ceph_key \
    --secret-key=$ceph_secret >/dev/null 2>"$ceph_dir/run/admin.out"
  ceph_start_gateway
}

# ceph_limit BUCKET BYTES
ceph_limit() {
  timeout 60 radosgw-admin -c "$ceph_dir/ceph.conf" quota set --quota-scope=bucket --bucket="$1" --uid=t \
    --max-size="$2" >/dev/null 2>&1 &&
    timeout 60 radosgw-admin -c "$ceph_dir/ceph.conf" quota enable --quota-scope=bucket --bucket="$1" --uid=t \
      >/dev/null 2>&1
}

ceph_osd_is_up() { timeout 10 ceph -c "$ceph_dir/ceph.conf" osd stat 2>/dev/null | grep -q '1 up'; }

ceph_start_gateway() {
  radosgw -c "$ceph_dir/ceph.conf" -f -n client.rgw >>"$ceph_dir/run/rgw.out" 2>&1 &
  ceph_gateway=$!
  wait_for 60 answers "$ceph_port"
}

# ceph_kill_gateway: at once, as when the power goes.
ceph_kill_gateway() {
  kill -9 "$ceph_gateway"
  wait "$ceph_gateway" 2>/dev/null || true
}

ceph_stop() {
  # shellcheck disable=SC2086 # there may be no gateway
  kill $ceph_gateway "${ceph_pids[@]}" 2>/dev/null || true
  # shellcheck disable=SC2086
  wait $ceph_gateway "${ceph_pids[@]}" 2>/dev/null || true
}
