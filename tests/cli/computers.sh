# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # what is set here is used by who sources it
# Three computers: a first, a second, and a third that is a witness. Where root may make network namespaces they are
# such, with a cable from each to a router; otherwise all is on the loopback. Sourced, after lib.sh.

ns=tt$$
has_namespaces=false
in_first=() in_second=() in_third=()
first_host=127.0.0.1 standby_host=127.0.0.1 witness_host=127.0.0.1
connect() {  # A router in a namespace of its own, with a cable to each.
  local name number=1
  ip netns add "$ns-router" && ip netns exec "$ns-router" sysctl -qw net.ipv4.ip_forward=1 || return 1
  for name in first second third; do
    ip netns add "$ns-$name" && ip -n "$ns-$name" link set lo up &&
      ip link add eth0 netns "$ns-$name" type veth peer name "$name" netns "$ns-router" &&
      ip -n "$ns-router" addr add "10.7.$number.1/24" dev "$name" && ip -n "$ns-router" link set "$name" up &&
      ip -n "$ns-$name" addr add "10.7.$number.2/24" dev eth0 && ip -n "$ns-$name" link set eth0 up &&
      ip -n "$ns-$name" route add default via "10.7.$number.1" || return 1
    ((++number))
  done
}
disconnect() { for name in first second third router; do ip netns del "$ns-$name" 2>/dev/null; done; }
if ((EUID == 0)) && command -v ip >/dev/null && connect 2>"$work/namespaces"; then
  has_namespaces=true
  in_first=(ip netns exec "$ns-first") in_second=(ip netns exec "$ns-second") in_third=(ip netns exec "$ns-third")
  first_host=10.7.1.2 standby_host=10.7.2.2 witness_host=10.7.3.2
else
  disconnect
fi
cut() { ip -n "$ns-router" link set "$1" down; }
mend() { ip -n "$ns-router" link set "$1" up; }
# Of what is sent to it nothing arrives any more; what it sends does.
declare -A address_of=([first]=$first_host [second]=$standby_host [third]=$witness_host)
cut_towards() { ip -n "$ns-router" route add blackhole "${address_of[$1]}/32"; }
mend_towards() { ip -n "$ns-router" route del blackhole "${address_of[$1]}/32"; }
# Said once, by who cuts cables: what cannot be tried here.
say_what_is_missing() {
  [[ $has_namespaces == true ]] ||
    { echo 'skip cables that are cut: only root can make network namespaces, with iproute2'; return; }
  ip netns exec "$ns-first" tc qdisc replace dev lo root netem delay 1ms 2>/dev/null &&
    ip netns exec "$ns-first" tc qdisc del dev lo root ||
    echo 'skip netem: this kernel has none; a cable of our own delays and loses instead'
}

# weather DELAY-MS LOSS-PERCENT: from now on, of whatever the first sends to the standby and it answers. Sets what the
# first calls: by netem where the kernel has that, otherwise by a cable of our own.
cable_pid=
weather() {
  local name
  clear_weather
  called=$standby_host:$port
  if [[ $has_namespaces == true ]]; then
    for name in first second; do
      ip netns exec "$ns-$name" tc qdisc replace dev eth0 root netem delay "$1ms" "$(($1 / 2))ms" loss "$2%" \
        2>/dev/null || break
    done && [[ $(ip netns exec "$ns-second" tc qdisc show dev eth0) == *netem* ]] && return
  fi
  called=$first_host:$((port + 9))
  "${in_first[@]}" "$(dirname "${BASH_SOURCE[0]}")/slow-cable" "$called" "$standby_host:$port" "$1" "$2" &
  cable_pid=$!
}
clear_weather() {
  [[ -z $cable_pid ]] || { kill "$cable_pid" && wait "$cable_pid"; } 2>/dev/null
  cable_pid=
}
