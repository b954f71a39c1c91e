#!/usr/bin/env bash
# Starts a server on an empty folder, walks through the interface in a browser, and stops the server again.
# Usage: web/e2e/run.sh [folder for screenshots]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
weir=${WEIR_BIN:-$here/../../bin/weir}
work=$(mktemp -d)
server=
stop() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

"$weir" server --port 0 --backend-store-uri "sqlite:///$work/weir.db" \
  --artifacts-destination "$work/artifacts" >"$work/log" 2>&1 &
server=$!
url=
for _ in $(seq 100); do
  url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/log")
  [ -n "$url" ] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
if [ -z "$url" ]; then cat "$work/log" >&2; exit 1; fi

WEIR_URL=$url node "$here/browser.mjs" "$@"
