"""Model folders that the R package wrote, read by Python's MLflow: what mlflow.models.get_model_info says of them.

With mlflow-skinny alone, which cannot read signatures, only the keys are checked that MLflow's readers insist on.
"""

import importlib.util
import json
import sys

import yaml

checks = 0


def check(got, want, what):
    global checks
    checks += 1
    assert got == want, f"{what}: got {got!r}, want {want!r}"


with open(sys.argv[1] + "/typed/MLmodel") as f:
    signature = yaml.safe_load(f)["signature"]
for column in json.loads(signature["inputs"]):
    check(sorted(column), ["name", "required", "type"], "keys of a column")
for param in json.loads(signature["params"]):
    check(sorted(param), ["default", "name", "shape", "type"], "keys of a parameter")
if not all(importlib.util.find_spec(name) for name in ("numpy", "pandas")):
    print(json.dumps({"checks": checks}))
    sys.exit()

from mlflow.models import Model, get_model_info  # noqa: E402

info = get_model_info(sys.argv[1] + "/typed")
check(list(info.flavors), ["rds"], "flavors")
check(len(info.model_uuid), 32, "uuid")
columns = {c["name"]: (c["type"], c["required"]) for c in info.signature.inputs.to_dict()}
check(columns["count"], ("integer", True), "an integer")
check(columns["size"], ("double", False), "a number with missing values")
check(columns["kind"], ("string", True), "a factor")
check(columns["grade"], ("string", True), "an ordered factor")
check(columns["day"], ("datetime", True), "a date")
check(columns["at"], ("datetime", True), "a time")
check(columns["well"], ("boolean", True), "a logical")
params = {p.name: (str(p.dtype), p.default, p.shape) for p in info.signature.params}
check(params["type"][1:], ("response", None), "a parameter")
check(params["at"][1:], ([1.0, 2.0], (-1,)), "a parameter that is a list")
check(info.signature.outputs.to_dict()[0]["type"], "double", "outputs")
example = Model.load(sys.argv[1] + "/crate").load_input_example(sys.argv[1] + "/crate")
check(list(example.columns), ["wt"], "columns of the example")
check(list(get_model_info(sys.argv[1] + "/crate").flavors), ["crate"], "a crate")
tensor = get_model_info(sys.argv[1] + "/matrix").signature.inputs.to_dict()[0]
check((tensor["type"], tensor["tensor-spec"]["shape"]), ("tensor", (-1, 2)), "a matrix")
print(json.dumps({"checks": checks}))
