# What the demos share: their argument, the programs that they need, programs in the background, conditions and printed
# steps. Sourced, in the root of the repository, with `demo` set to the demo's name, for its messages.

mode=${1:-demo}
case $mode in
demo | run) ;;
*)
    sed -n '/^# usage/,/^#   run/s/^# //p' "$0" >&2
    exit 2
    ;;
esac

envoy_version=$(sed -n 's/^ENVOY_VERSION=//p' tools/versions)
envoy=${ENVOY_BIN:-.tools/envoy-$envoy_version/envoy}

# need TARGET FILE...: fails unless every file exists, which `make TARGET` builds.
need() {
    local target=$1 file
    shift
    for file in "$@"; do
        [ -e "$file" ] || {
            echo "$demo: $file is missing; run \`make $target\`, which builds or installs it" >&2
            exit 1
        }
    done
}

# Seconds until a step counts as failed.
deadline=60

# Seconds that the programs have to end.
grace=10

# The files and logs of the programs. With run they stay.
work=$(mktemp -d "${TMPDIR:-/tmp}/portcullis-$demo.XXXXXX")
pids=()
declare -A pid_of
stop() {
    local status=$? end=$((SECONDS + grace)) pid
    trap - EXIT
    trap '' HUP INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
    wait
    if [ $status -eq 130 ] && [ "$mode" = run ]; then
        # The way to end it, so make has no error to report.
        printf '\nStopped. The logs are in %s.\n' "$work"
        exit 0
    fi
    # 130: interrupted, which is not a failure.
    if [ $status -ne 0 ] && [ $status -ne 130 ] && [ ${#pids[@]} -ne 0 ]; then
        printf '\n%s: FAILED; the last lines of every log:\n' "$demo" >&2
        (cd "$work" && tail -n 20 -- *.log >&2) || true
    fi
    if [ "$mode" = run ]; then
        printf 'The logs are in %s.\n' "$work" >&2
    else
        rm -rf "$work"
    fi
    exit $status
}
trap stop EXIT
trap 'exit 130' HUP INT TERM

fail() {
    printf '%s: %s\n' "$demo" "$*" >&2
    exit 1
}

# eventually WHAT COMMAND...: runs the command until it succeeds.
eventually() {
    local what=$1 end=$((SECONDS + deadline))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "not within $deadline seconds: $what"
        sleep 0.1
    done
}

# start NAME COMMAND...: in the background, its output to a file.
start() {
    local name=$1
    shift
    : >"$work/$name.log"
    "$@" >>"$work/$name.log" 2>&1 &
    pids+=($!)
    pid_of[$name]=$!
}

# lives NAME: fails at once if the program has exited, instead of waiting for the deadline.
lives() { kill -0 "${pid_of[$1]}" 2>/dev/null || fail "$1 ended"; }

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# address_of NAME: the address in the program's first line.
address_of() { sed -n '1s#.* listening on http://##p' "$work/$1.log"; }
has_address() {
    [ -n "$(address_of "$1")" ] || {
        lives "$1"
        false
    }
}

# Of Envoy, which writes the address of its admin interface to $work/admin.
is_ready() {
    lives envoy
    [ -s "$work/admin" ] && [ "$(curl -s "http://$(cat "$work/admin")/ready")" = LIVE ]
}
# stat NAME: the value of an Envoy metric, or 0.
stat() { curl -s "http://$(cat "$work/admin")/stats" | sed -n "s/^$1: //p" | grep . || echo 0; }

# Any of the four workers may get a connection: a dozen requests almost certainly reach all of them.
repeatedly() {
    for _ in {1..12}; do
        "$@" || return 1
    done
}
# step WHAT COMMAND...: waits until the command succeeds and prints the step.
step() {
    local what=$1
    shift
    eventually "$what" "$@"
    printf '  %-60s %s\n' "$what" ok
}
not() { ! "$@"; }
