#!/usr/bin/env bash
# One server and three Envoys on this machine, with real requests: a client attacks at one Envoy, and all three block it;
# one command switches all three; a wrong file changes nothing; the server is killed, and nothing changes either. Starts
# abs-simulator, sample-api, `portcullis serve` and three Envoys with envoy/fleet.yaml, on loopback only, and stops them.
# Exits 0 only if every step passed.
#
# usage: examples/fleet/demo.sh [run]
#   run   starts the same programs, prints their addresses and keeps them running until Ctrl-C; the logs stay
#
# Uses the documented ports, or free ones if one of those is taken. `make demo-fleet` builds what is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."

demo="fleet demo"
source examples/demo/programs.sh

module=${PORTCULLIS_WASM:-target/portcullis.wasm}
portcullis=${PORTCULLIS_BIN:-target/release/portcullis}
simulator=${ABS_SIMULATOR_BIN:-target/release/abs-simulator}
api=${SAMPLE_API_BIN:-target/release/sample-api}
need demo-fleet "$envoy" "$module" "$portcullis" "$simulator" "$api"

# The server's credentials for ABS. Loopback needs no tokens.
export ABS_ACCESS_KEY=abs_ak ABS_SECRET_KEY=abs_sk
unset PORTCULLIS_OPERATOR_TOKEN PORTCULLIS_READ_TOKEN PORTCULLIS_NODE_TOKEN PORTCULLIS_CONFIG PORTCULLIS_SERVER

# ABS, ASE, the API, the server; then each Envoy and its admin interface. A taken port does not stop the demo.
ports=(8080 8443 8000 9902 10000 10001 10002 9911 9912 9913)
for port in "${ports[@]}"; do
    if ! is_free "$port"; then
        echo "Port $port is taken: using free ports."
        ports=(0 0 0 0 0 0 0 0 0 0)
        break
    fi
done

start_abs() {
    start abs-simulator "$simulator" --listen "127.0.0.1:${ports[0]}" --listen-sideband "127.0.0.1:${ports[1]}"
    eventually "abs-simulator listens" has_address abs-simulator
}
start_abs
start sample-api "$api" --listen "127.0.0.1:${ports[2]}"
eventually "sample-api listens" has_address sample-api
abs=$(address_of abs-simulator)
ase=$(sed -n '2s#.* listening on http://##p' "$work/abs-simulator.log")
backend=$(address_of sample-api)

# -- the server: the files of this example, with loopback addresses instead of Compose's names --
mkdir "$work/filters"
sed -e "s#/opt/portcullis/portcullis.wasm#$module#" \
    -e 's/"abs_attack_request_minutes": 0.05/"abs_attack_request_minutes": 0.02/' \
    examples/fleet/filters/portcullis.json >"$work/filters/portcullis.json"
sed -e "s#abs-simulator:8080#$abs#" \
    -e 's/"abs_attack_request_minutes": 0.05/"abs_attack_request_minutes": 0.02/' \
    examples/fleet/relay.json >"$work/relay.json"
server_port=${ports[3]}
server_address() { sed -n 's#^portcullis serve: http://##p' "$work/server.log" | head -n 1; }
server_listens() {
    [ -n "$(server_address)" ] || {
        lives server
        false
    }
}
start_server() {
    start server "$portcullis" serve --filters "$work/filters" --relay "$work/relay.json" --state "$work/state" \
        --listen "127.0.0.1:$server_port"
    eventually "the server listens" server_listens
}
start_server
server=$(server_address)
server_port=${server##*:}

# -- the nodes: envoy/fleet.yaml with these ports, which asks for changes every one to two seconds --
start_node() {
    local node=node-$1
    sed -e "s/port_value: 8000 }/port_value: ${backend##*:} }/" \
        -e "s/port_value: 8443 }/port_value: ${ase##*:} }/" \
        -e "s/port_value: 9902 }/port_value: $server_port }/" \
        -e "s/port_value: 10000 }/port_value: ${ports[3 + $1]} }/" \
        -e "s/port_value: 9901 }/port_value: ${ports[6 + $1]} }/" \
        -e 's/refresh_delay: 5s/refresh_delay: 1s/' \
        envoy/fleet.yaml >"$work/$node.yaml"
    # Envoy gets no key to ABS, and an empty token.
    start "$node" env -u ABS_ACCESS_KEY -u ABS_SECRET_KEY PORTCULLIS_NODE_TOKEN= "$envoy" -c "$work/$node.yaml" --service-node "$node" --admin-address-path "$work/$node.admin" \
        --concurrency 2 --disable-hot-restart
}
nodes=(1 2 3)
admin_of() { cat "$work/node-$1.admin"; }
node_is_ready() {
    lives "node-$1"
    [ -s "$work/node-$1.admin" ] && [ "$(curl -s "http://$(admin_of "$1")/ready")" = LIVE ]
}
# node_stat NODE NAME: the value of an Envoy metric, or 0.
node_stat() { curl -s "http://$(admin_of "$1")/stats" | sed -n "s/^wasmcustom.portcullis.$2: //p" | grep . || echo 0; }
list_came() { [ "$(node_stat "$1" fetch.result=ok)" -gt 0 ]; }
for node in "${nodes[@]}"; do start_node "$node"; done
proxy=(none)
for node in "${nodes[@]}"; do
    eventually "node-$node is ready" node_is_ready "$node"
    proxy[node]=127.0.0.1:$(curl -s "http://$(admin_of "$node")/listeners" | sed -n 's/^ingress::.*://p')
    eventually "node-$node has its first list" list_came "$node"
done

if [ "$mode" = run ]; then
    cat <<END
Running, until Ctrl-C:
  the server, with its page              http://$server/
  the API, behind node-1                 http://${proxy[1]}
  the API, behind node-2                 http://${proxy[2]}
  the API, behind node-3                 http://${proxy[3]}
  the nodes' admin interfaces            http://$(admin_of 1), http://$(admin_of 2), http://$(admin_of 3)
  the ABS simulator                      http://$abs  (credentials $ABS_ACCESS_KEY, $ABS_SECRET_KEY)
  the API itself                         http://$backend
  the filter's file                      $work/filters/portcullis.json
  the logs, which stay                   $work/*.log

List a client; every node blocks it within three seconds:
  curl -X POST http://$abs/admin/list -d '{"cookies": {"PHPSESSIONID": ["mallory"]}}'
  curl -i -H 'cookie: PHPSESSIONID=mallory' http://${proxy[3]}/shop
Switch blocking off, on every node:
  $portcullis --server http://$server disable_firewall
END
    wait "${pid_of[server]}" || fail "the server ended"
    # It ends without an error only on Ctrl-C, which this shell may not have noticed yet.
    exit 130
fi

# get NODE CLIENT: one request with that session; prints the status, and writes the body to a file.
get() {
    curl -s --max-time 10 -o "$work/body" -w '%{http_code}' -H "cookie: PHPSESSIONID=$2" "http://${proxy[$1]}${3:-/shop}"
}
is_allowed() { [ "$(get "$1" "$2")" = 200 ]; }
is_blocked() { [ "$(get "$1" "$2")" = 403 ] && [ "$(cat "$work/body")" = 'Error: Unauthorized' ]; }
# everywhere CONDITION CLIENT: on each node.
everywhere() {
    local node
    for node in "${nodes[@]}"; do repeatedly "$1" "$node" "$2" || return 1; done
}
abs_lists() { curl -s "http://$abs/admin/list" | grep -q "\"$1\""; }
# The requests for the list that ABS has had, and those of all nodes.
fetches_of_abs() { curl -s "http://$abs/admin/fetches" | tr ',' '\n' | grep -c '[0-9]'; }
fetches_of_nodes() {
    local node n=0
    for node in "${nodes[@]}"; do
        n=$((n + $(node_stat "$node" fetch.result=ok) + $(node_stat "$node" fetch.result=not_modified)))
    done
    echo $n
}
one_fetch_for_all() { [ "$(fetches_of_nodes)" -ge $((2 * $(fetches_of_abs))) ]; }
# failed_fetches NODE: all results except ok and not_modified.
failed_fetches() {
    curl -s "http://$(admin_of "$1")/stats" | sed -n '/fetch.result=\(ok\|not_modified\):/d; s/^wasmcustom.portcullis.fetch.result=.*: //p' |
        awk '{ n += $1 } END { print n + 0 }'
}
failed_before=(none)
all_have_noticed() {
    local node
    for node in "${nodes[@]}"; do [ "$(failed_fetches "$node")" -gt "${failed_before[node]}" ] || return 1; done
}
# served: the version of the filter that a node would get now.
served() {
    curl -s -H 'content-type: application/json' -d '{"node": {"id": "demo"}, "resource_names": ["portcullis"]}' \
        "http://$server/v3/discovery:extension_configs" | sed -n 's/.*"version_info":"\([^"]*\)".*/\1/p'
}
serves() { [ "$(served)" = "$1" ]; }
all_are_current() { [ "$("$portcullis" --server "http://$server" nodes | grep -c '^current .* node-[123] ')" = 3 ]; }
serves_list() { curl -s "http://$server/v4/abs/attacklist" | grep -q "\"$1\""; }
server_refused() { grep -q 'enable_firewall: found a string.*"accepted":false' "$work/server.log"; }
# command_line WORD...: prints the command and runs it.
command_line() {
    echo "\$ portcullis --server http://$server $*"
    "$portcullis" --server "http://$server" "$@" >"$work/command.log" || fail "the command failed"
}
# kill_hard NAME: the program has no chance to clean up.
kill_hard() { { kill -9 "${pid_of[$1]}" && wait "${pid_of[$1]}"; } 2>/dev/null || true; }

echo "The server on $server, node-1 on ${proxy[1]}, node-2 on ${proxy[2]}, node-3 on ${proxy[3]},"
echo "ABS on $abs, ASE on $ase, the API on $backend."
echo
echo "Three Envoys have got their filter from the server, which fetches ABS's list for all of them."
step "the server knows three nodes with the current version" all_are_current
step "node-1, node-2 and node-3 allow alice" everywhere is_allowed alice
step "node-1, node-2 and node-3 allow mallory" everywhere is_allowed mallory
echo "Mallory tries passwords at node-1, which reports the traffic to ASE."
# All on one connection, so that the last guess reaches the API before ABS can report the first.
guesses=$(get 1 mallory '/status/401?guess=[1-20]')
[ "$guesses" = "$(printf '401%.0s' {1..20})" ] || fail "the API should have returned 401: $guesses"
step "ABS lists mallory's session" abs_lists mallory
step "node-1, node-2 and node-3 block mallory: 403" everywhere is_blocked mallory
step "they still allow alice" everywhere is_allowed alice
step "ABS gets one request per interval, not three" one_fetch_for_all
command_line disable_firewall
step "node-1, node-2 and node-3 allow mallory" everywhere is_allowed mallory
command_line enable_firewall
step "node-1, node-2 and node-3 block mallory" everywhere is_blocked mallory
echo "Somebody writes a wrong value into the filter's file."
version=$(served)
sed 's/"enable_firewall": true/"enable_firewall": "maybe"/' "$work/filters/portcullis.json" >"$work/filters/.new"
mv "$work/filters/.new" "$work/filters/portcullis.json"
step "the server refuses the file; its log says why" server_refused
step "it serves the last valid version" serves "$version"
step "node-1, node-2 and node-3 still block mallory" everywhere is_blocked mallory
echo "ABS stops, and the server is killed with kill -9."
kill_hard abs-simulator
kill_hard server
for node in "${nodes[@]}"; do failed_before[node]=$(failed_fetches "$node"); done
step "the nodes' next requests for the list fail" all_have_noticed
step "node-1, node-2 and node-3 still block mallory" everywhere is_blocked mallory
echo "The server starts again. ABS is still down, and the file still wrong."
start_server
step "the server serves the last list, from disk" serves_list mallory
step "it serves the last valid version of the filter" serves "$version"
step "node-1, node-2 and node-3 still block mallory" everywhere is_blocked mallory
echo "ABS starts again, with an empty list."
ports[0]=${abs##*:} ports[1]=${ase##*:}
start_abs
step "node-1, node-2 and node-3 allow mallory" everywhere is_allowed mallory
echo
echo "Every step passed."
