#!/usr/bin/env bash
# Runs the whole lifecycle once: a tracking server, an R script that trains and registers, a model server, predictions.
#
# WEIR      the binary
# DEMO_DIR  a folder for the store and the logs; a former demo's data in it is replaced
# DEMO_EXIT=1 stops everything at the end, which is also what happens outside a terminal
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${WEIR:?}" "${DEMO_DIR:?}"
export MLFLOW_BIN=$WEIR
unset MLFLOW_RUN_ID MLFLOW_EXPERIMENT_NAME MLFLOW_EXPERIMENT_ID MLFLOW_TRACKING_TOKEN MLFLOW_TRACKING_USERNAME

stop() { # the processes that this demo, or a former one in the same folder, has started
  [ -f "$DEMO_DIR/pids" ] || return 0
  while read -r pid; do
    # A number may belong to another program by now: only what still runs our binary is ours.
    if [ "$(readlink "/proc/$pid/exe" 2>/dev/null | sed 's/ (deleted)$//')" = "$WEIR" ]; then
      kill "$pid" 2>/dev/null || true
      for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
    fi
  done <"$DEMO_DIR/pids"
  rm -f "$DEMO_DIR/pids"
}

keep=
finish() { [ -n "$keep" ] || stop; }
trap finish EXIT
trap 'exit 130' INT TERM

start() { # start NAME ARGS...: runs weir in the background and gives the address that it prints
  local name=$1 log=$DEMO_DIR/$1.log; shift
  setsid "$WEIR" "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >>"$DEMO_DIR/pids"
  for _ in $(seq 300); do
    url=$(grep -om1 'http://[^ ]*' "$log" || true)
    if [ -n "$url" ] && curl -fs -o /dev/null "$url/health"; then return 0; fi
    [ -d "/proc/$pid" ] || break
    sleep 0.1
  done
  echo "weir $name did not start:" >&2; tail -5 "$log" >&2
  return 1
}

free_port() { # the first free one of a few familiar ports, else any
  local p
  for p in "$@"; do (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }; done
  echo 0
}

stop
rm -rf "$DEMO_DIR"
mkdir -p "$DEMO_DIR"
cd "$DEMO_DIR"

start server server --backend-store-uri "sqlite:///$DEMO_DIR/weir.db" --artifacts-destination "$DEMO_DIR/artifacts" --port "$(free_port 5000 5050)"
ui=$url
echo "1. tracking server: $ui"

echo "2. train: examples/diamonds/train.R"
MLFLOW_TRACKING_URI=$ui Rscript "$here/train.R"

export MLFLOW_TRACKING_URI=$ui
start model models serve -m models:/diamonds-price@champion --port "$(free_port 5001 5051)" -w 2
echo "3. model server: $url/invocations"

echo "4. predictions for diamonds that the model has never seen"
# train.R left a few held-out stones in sample.csv; their price is the last column and stays here.
sed 's/,[^,]*$//' sample.csv | curl -fsS -H 'Content-Type: text/csv' --data-binary @- "$url/invocations" >predictions.json
printf '   %8s %12s %8s\n' price predicted 'off by'
tr -d '[]{} \n' <predictions.json | sed 's/"predictions"://' | tr ',' '\n' |
  paste -d, <(sed '1d; s/.*,//' sample.csv) - |
  awk -F, '{ printf "   %8.0f %12.0f %7.1f%%\n", $1, $2, 100 * ($2 - $1) / $1 }'

echo
if [ "${DEMO_EXIT:-}" = 1 ] || [ ! -t 1 ]; then
  echo "The servers stop now. \`make demo\` in a terminal, without DEMO_EXIT=1, leaves them on, and the runs are at $ui."
else
  keep=1
  echo "Open $ui to see the runs, the plots and the registered model."
  echo "Both servers go on running; stop them with: kill $(paste -sd' ' pids)"
fi
