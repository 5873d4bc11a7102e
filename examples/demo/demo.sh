#!/usr/bin/env bash
# The whole loop on this machine, with real requests: a client is allowed, attacks, is listed by ABS, blocked, and
# unblocked. Starts abs-simulator, sample-api and Envoy with the shipped configuration, on loopback only, and stops them.
# Exits 0 only if every step passed.
#
# usage: examples/demo/demo.sh [run]
#   run   starts the same programs, prints their addresses and keeps them running until Ctrl-C; the logs stay
#
# Uses the documented ports, or free ones if one of those is taken. `make demo` and `make run` build what is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."

demo=demo
source examples/demo/programs.sh

module=${PORTCULLIS_WASM:-target/portcullis.wasm}
simulator=${ABS_SIMULATOR_BIN:-target/release/abs-simulator}
api=${SAMPLE_API_BIN:-target/release/sample-api}
need "$mode" "$envoy" "$module" "$simulator" "$api"

command -v curl >/dev/null || {
    echo "demo: curl is missing; install it with your system's package manager" >&2
    exit 1
}

# The simulator's own credentials: a real ABS has others.
export ABS_ACCESS_KEY=abs_ak ABS_SECRET_KEY=abs_sk

# A taken port does not stop the demo.
ports=(8080 8000 10000 9901 8443)
for port in "${ports[@]}"; do
    if ! is_free "$port"; then
        echo "Port $port is taken: using free ports."
        ports=(0 0 0 0 0)
        break
    fi
done

start abs-simulator "$simulator" --listen "127.0.0.1:${ports[0]}" --listen-sideband "127.0.0.1:${ports[4]}"
start sample-api "$api" --listen "127.0.0.1:${ports[1]}"
eventually "abs-simulator listens" has_address abs-simulator
eventually "sample-api listens" has_address sample-api
abs=$(address_of abs-simulator)
# ASE has its own address. Traffic information goes there, in the format "sideband" of the shipped filter.json, the only
# one that ASE accepts.
ase=$(sed -n '2s#.* listening on http://##p' "$work/abs-simulator.log")
backend=$(address_of sample-api)

# The shipped files with these ports, traffic information switched on, and the list fetched every 1.2 seconds instead of
# every 10 minutes.
mkdir "$work/envoy"
sed -e "s#target/portcullis.wasm#$module#" \
    -e 's/"abs_attack_request_minutes": 10\b/"abs_attack_request_minutes": 0.02/' \
    -e 's/"enable_abs": false/"enable_abs": true/' \
    envoy/filter.json >"$work/envoy/filter.json"
sed -e "s/port_value: 8080 }\$/port_value: ${abs##*:} }/" \
    -e "s/port_value: 8443 }/port_value: ${ase##*:} }/" \
    -e "s/port_value: 8000 }/port_value: ${backend##*:} }/" \
    -e "s/port_value: 10000 }/port_value: ${ports[2]} }/" \
    -e "s/port_value: 9901 }/port_value: ${ports[3]} }/" \
    -e "s#path: envoy/filter.json#path: $work/envoy/filter.json#" \
    -e "s#path: envoy }#path: $work/envoy }#" \
    envoy/envoy.yaml >"$work/envoy/envoy.yaml"
grep -q '"abs_attack_request_minutes": 0.02' "$work/envoy/filter.json" || fail "envoy/filter.json names no interval of 10 minutes"
grep -q '"enable_abs": true' "$work/envoy/filter.json" || fail "envoy/filter.json does not have enable_abs off"

start envoy "$envoy" -c "$work/envoy/envoy.yaml" --admin-address-path "$work/admin" --concurrency 4 --disable-hot-restart
eventually "Envoy is ready" is_ready
admin=$(cat "$work/admin")
proxy=127.0.0.1:$(curl -s "http://$admin/listeners" | sed -n 's/^ingress::.*://p')

list_came() { [ "$(stat wasmcustom.portcullis.fetch.result=ok)" -gt 0 ]; }
eventually "the filter has fetched its first list" list_came

if [ "$mode" = run ]; then
    cat <<END
Running, until Ctrl-C:
  the API, behind Envoy and the filter   http://$proxy
  Envoy's admin interface                http://$admin
  the ABS simulator                      http://$abs  (credentials $ABS_ACCESS_KEY, $ABS_SECRET_KEY)
  the simulated ASE sideband             http://$ase
  the API itself                         http://$backend
  the filter's configuration             $work/envoy/filter.json
  the logs, which stay                   $work/*.log

List a client; it is blocked within two seconds:
  curl -X POST http://$abs/admin/list -d '{"cookies": {"PHPSESSIONID": ["mallory"]}}'
  curl -i -H 'cookie: PHPSESSIONID=mallory' http://$proxy/shop
Switch blocking off, with the command line tool that \`make cli\` builds:
  target/release/portcullis --config $work/envoy/filter.json disable_firewall
END
    wait "${pid_of[envoy]}" || fail "envoy ended"
    # It ends without an error only on Ctrl-C, which this shell may not have noticed yet.
    exit 130
fi

# get CLIENT: one request with that session; prints status and body.
get() {
    curl -s --max-time 10 -o "$work/body" -w '%{http_code}' -H "cookie: PHPSESSIONID=$1" "http://$proxy${2:-/shop}"
}
is_allowed() { [ "$(get "$1")" = 200 ]; }
is_blocked() { [ "$(get "$1")" = 403 ] && [ "$(cat "$work/body")" = 'Error: Unauthorized' ]; }
# abs_api METHOD [BODY]: ABS's documented interface.
abs_api() {
    curl -s --max-time 10 -X "$1" -H "x-abs-ak: $ABS_ACCESS_KEY" -H "x-abs-sk: $ABS_SECRET_KEY" ${2:+-d "$2"} \
        "http://$abs/v4/abs/attacklist?earlier_date=2000-01-01T00:00&later_date=2100-01-01T00:00&status=active"
}
abs_lists() { abs_api GET | grep -q "\"$1\""; }
is_counted() { [ "$(stat wasmcustom.portcullis.denied.source=abs.kind=cookie)" -gt 0 ]; }

echo "Envoy on $proxy, four workers, ABS on $abs, ASE on $ase, the API on $backend."
echo
echo "Two clients, alice and mallory, use the API through Envoy."
step "alice is allowed" repeatedly is_allowed alice
step "mallory is allowed" repeatedly is_allowed mallory
echo "Mallory tries passwords."
# All on one connection, so that the last guess reaches the API before ABS can report the first.
guesses=$(get mallory '/status/401?guess=[1-20]')
[ "$guesses" = "$(printf '401%.0s' {1..20})" ] || fail "the API should have returned 401: $guesses"
step "twenty guesses reach the API, each gets 401" true
echo "Envoy reports the traffic to ASE, which passes it to ABS; no request waits for it."
step "ABS lists mallory's session" abs_lists mallory
echo "Envoy fetches the list."
step "mallory gets 403, Error: Unauthorized" repeatedly is_blocked mallory
step "alice, at the same address, is still allowed" repeatedly is_allowed alice
step "Envoy's metrics count what was blocked" is_counted
echo "An operator removes mallory from the list, by ABS's API."
abs_api PUT '{"cookies": {"PHPSESSIONID": ["mallory"]}}' >/dev/null
step "ABS no longer lists mallory" not abs_lists mallory
step "mallory is allowed again" repeatedly is_allowed mallory
echo
echo "Every step passed."
