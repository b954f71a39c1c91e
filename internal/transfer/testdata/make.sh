#!/bin/sh
# Makes the stores of this folder with real releases of MLflow. Each argument is RELEASE=PYTHON, the Python of a virtual
# environment with that release of mlflow (mlflow-skinny with sqlalchemy and alembic is enough).
#
#   sh make.sh 1.30.1=/envs/mlflow1/bin/python 2.9.2=/envs/mlflow2/bin/python 3.17.2=/envs/mlflow3/bin/python
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for pair in "$@"; do
	release=${pair%%=*}
	python=${pair#*=}
	work=$(mktemp -d)
	cd "$work"
	"$python" "$here/make.py" file "$work/mlruns" "$here/tree-$release.json"
	"$python" "$here/make.py" sql "$work/mlflow.db" "$here/mlflow-$release.json"
	rm -rf "$here/tree-$release"
	cp -R "$work/mlruns" "$here/tree-$release"
	grep -rl "$work" "$here/tree-$release" | while read -r file; do
		sed -i "s|$work|/home/ada/project|g" "$file"
	done
	"$python" - "$work" "$here/mlflow-$release.sql.gz" <<-'PY'
		import gzip, sqlite3, sys
		work, out = sys.argv[1:]
		text = "\n".join(sqlite3.connect(work + "/mlflow.db").iterdump()).replace(work, "/home/ada/project")
		with open(out, "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
		    z.write(text.encode())
	PY
	cd "$here"
	rm -rf "$work"
done
