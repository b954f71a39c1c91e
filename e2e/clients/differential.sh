#!/usr/bin/env bash
# differential.sh WEIR MLFLOW: starts both servers on fresh stores, compares them by differential.py, and ends them.
set -euo pipefail
weir=$1 mlflow=$2
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/weir" "$dir/mlflow"
(cd "$dir/weir" && exec "$weir" server --backend-store-uri sqlite:///w.db --artifacts-destination art --port 5801) & pids+=($!)
(cd "$dir/mlflow" && exec "$mlflow" server --backend-store-uri sqlite:///m.db --artifacts-destination art --workers 1 --port 5802 >log 2>&1) & pids+=($!)
for port in 5801 5802; do
	for _ in $(seq 240); do
		curl -sf "http://127.0.0.1:$port/health" >/dev/null && break
		sleep 0.5
	done
done
python3 "$here/differential.py" http://127.0.0.1:5801 http://127.0.0.1:5802
