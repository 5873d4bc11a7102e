#!/usr/bin/env bash
# A real CrowdSec LAPI decides, a real Envoy enforces, without Docker: clients are allowed, banned with cscli, blocked, and
# allowed again. Starts crowdsec from Debian's package (only its local API, without the online API), sample-api and
# Envoy with the files in envoy/, on loopback only, and stops them. Exits 0 only if every step passed.
#
# usage: examples/crowdsec/demo.sh [run]
#   run   starts the same programs, prints their addresses and keeps them running until Ctrl-C; the logs stay
#
# Uses the documented ports, or free ones if one of those is taken. `make demo-crowdsec` builds what is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."

demo="crowdsec demo"
source examples/demo/programs.sh

crowdsec=${CROWDSEC_BIN:-.tools/crowdsec/crowdsec}
cscli=${CSCLI_BIN:-.tools/crowdsec/cscli}
module=${PORTCULLIS_WASM:-target/portcullis.wasm}
api=${SAMPLE_API_BIN:-target/release/sample-api}
need demo-crowdsec "$envoy" "$crowdsec" "$cscli" "$module" "$api"

# LAPI, the API, Envoy, Envoy's admin interface. A taken port does not stop the demo.
ports=(8080 8000 10000 9901)
for port in "${ports[@]}"; do
    if ! is_free "$port"; then
        echo "A port is taken: using free ports."
        # crowdsec takes no port 0.
        lapi_port=$((20000 + RANDOM % 20000))
        until is_free "$lapi_port"; do lapi_port=$((20000 + RANDOM % 20000)); done
        ports=("$lapi_port" 0 0 0)
        break
    fi
done
lapi=127.0.0.1:${ports[0]}

# -- CrowdSec: a database, one machine for cscli, one bouncer --
mkdir "$work/crowdsec"
cat >"$work/crowdsec/config.yaml" <<END
common: { daemonize: false, log_media: stdout, log_level: warning, working_dir: $work/crowdsec }
config_paths:
  config_dir: $work/crowdsec
  data_dir: $work/crowdsec
  simulation_path: $work/crowdsec/simulation.yaml
  hub_dir: $work/crowdsec/hub
  index_path: $work/crowdsec/hub/.index.json
  notification_dir: $work/crowdsec/notifications
  plugin_dir: $work/crowdsec/plugins
db_config: { type: sqlite, db_path: $work/crowdsec/crowdsec.db, use_wal: true }
api:
  client: { credentials_path: $work/crowdsec/credentials.yaml }
  server: { log_level: warning, listen_uri: "$lapi", profiles_path: $work/crowdsec/profiles.yaml }
prometheus: { enabled: false }
END
cat >"$work/crowdsec/profiles.yaml" <<END
name: default
filters: [Alert.Remediation == true]
decisions: [{ type: ban, duration: 4h }]
END
echo "simulation: false" >"$work/crowdsec/simulation.yaml"
: >"$work/crowdsec/credentials.yaml"
cscli() { "$cscli" -c "$work/crowdsec/config.yaml" "$@" 2>>"$work/cscli.log"; }
cscli machines add demo --password demo >/dev/null
# The key goes to Envoy's environment, and from there to the filter: see host_env_keys in envoy/filter.json.
CROWDSEC_KEY=$(cscli bouncers add envoy --output raw)
export CROWDSEC_KEY
start crowdsec "$crowdsec" -c "$work/crowdsec/config.yaml" -no-cs
lapi_responds() {
    lives crowdsec
    # HEAD is not a pull of the bouncer.
    [ "$(curl -s -o /dev/null -I -w '%{http_code}' -H "x-api-key: $CROWDSEC_KEY" "http://$lapi/v1/decisions/stream")" = 200 ]
}
eventually "LAPI responds" lapi_responds

# -- the API, and Envoy with the files of this example, which has loopback addresses instead of Compose's names --
start sample-api "$api" --listen "127.0.0.1:${ports[1]}"
eventually "sample-api listens" has_address sample-api
backend=$(address_of sample-api)
mkdir "$work/envoy"
sed -e "s#/opt/portcullis/portcullis.wasm#$module#" examples/crowdsec/envoy/filter.json >"$work/envoy/filter.json"
sed -e "s/address: crowdsec, port_value: 8080 }/address: 127.0.0.1, port_value: ${ports[0]} }/" \
    -e "s/address: sample-api, port_value: 8000 }/address: 127.0.0.1, port_value: ${backend##*:} }/" \
    -e "s/address: 0.0.0.0, port_value: 10000 }/address: 127.0.0.1, port_value: ${ports[2]} }/" \
    -e "s/port_value: 9901 }/port_value: ${ports[3]} }/" \
    -e "s#/etc/portcullis#$work/envoy#" \
    examples/crowdsec/envoy/envoy.yaml >"$work/envoy/envoy.yaml"
start envoy "$envoy" -c "$work/envoy/envoy.yaml" --admin-address-path "$work/admin" --concurrency 4 --disable-hot-restart
eventually "Envoy is ready" is_ready
admin=$(cat "$work/admin")
proxy=127.0.0.1:$(curl -s "http://$admin/listeners" | sed -n 's/^ingress::.*://p')
list_came() { [ "$(stat wasmcustom.portcullis.fetch.source=crowdsec.result=ok)" -gt 0 ]; }
eventually "the filter has fetched its first list" list_came

if [ "$mode" = run ]; then
    cat <<END
Running, until Ctrl-C:
  the API, behind Envoy and the filter   http://$proxy
  Envoy's admin interface                http://$admin
  CrowdSec's LAPI                        http://$lapi
  the API itself                         http://$backend
  the logs, which stay                   $work/*.log

Ban a client; it is blocked within three seconds, and allowed again once the ban is over:
  $cscli -c $work/crowdsec/config.yaml decisions add --ip 203.0.113.7 --duration 1m
  curl -i -H 'x-forwarded-for: 203.0.113.7' http://$proxy/shop
END
    wait "${pid_of[envoy]}" || fail "envoy ended"
    # It ends without an error only on Ctrl-C, which this shell may not have noticed yet.
    exit 130
fi

# get ADDRESS: one request from a client with this address, as the proxy in front of Envoy reports it.
get() {
    curl -s --max-time 10 -o "$work/body" -w '%{http_code}' -H "x-forwarded-for: $1" "http://$proxy/shop"
}
is_allowed() { [ "$(get "$1")" = 200 ]; }
is_blocked() { [ "$(get "$1")" = 403 ] && [ "$(cat "$work/body")" = 'Error: Unauthorized' ]; }
is_counted() { [ "$(stat wasmcustom.portcullis.denied.source=crowdsec.kind=ip)" -gt 0 ]; }
is_known() { cscli bouncers list | grep -q portcullis; }
# decisions ARGUMENT...: prints the command and runs it.
decisions() {
    echo "\$ cscli decisions $*"
    cscli decisions "$@" >/dev/null || fail "cscli failed; see cscli.log"
}

echo "Envoy on $proxy, four workers, CrowdSec's LAPI on $lapi, the API on $backend."
echo
echo "Clients use the API through Envoy, which fetches the decisions every two seconds."
step "203.0.113.7 is allowed" repeatedly is_allowed 203.0.113.7
step "2001:db8:7::1 is allowed" repeatedly is_allowed 2001:db8:7::1
step "LAPI knows Envoy as a bouncer of the type portcullis" is_known
decisions add --ip 203.0.113.7 --duration 4h
step "203.0.113.7 gets 403, Error: Unauthorized" repeatedly is_blocked 203.0.113.7
step "203.0.113.8 is still allowed" repeatedly is_allowed 203.0.113.8
step "Envoy's metrics count what was blocked" is_counted
decisions add --range 2001:db8:7::/48 --duration 4h
step "2001:db8:7::1 gets 403" repeatedly is_blocked 2001:db8:7::1
decisions delete --ip 203.0.113.7
step "203.0.113.7 is allowed again" repeatedly is_allowed 203.0.113.7
step "2001:db8:7::1 is still blocked" repeatedly is_blocked 2001:db8:7::1
decisions delete --range 2001:db8:7::/48
step "2001:db8:7::1 is allowed again" repeatedly is_allowed 2001:db8:7::1
echo
echo "Every step passed."
