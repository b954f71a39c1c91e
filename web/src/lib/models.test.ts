import { describe, expect, it } from "vitest";
import type { ModelVersion, RegisteredModel } from "../api/types.gen";
import { aliasesOf, flavorsOf, pathInRun, signatureOf } from "./models";

const version = (change: Partial<ModelVersion>): ModelVersion => ({
  name: "price",
  version: "3",
  creation_timestamp: 1,
  last_updated_timestamp: 1,
  current_stage: "None",
  source: "runs:/abc/model",
  run_id: "abc",
  status: "READY",
  ...change,
});

const mlmodel = `artifact_path: model
flavors:
  crate:
    model: crate.bin
  python_function:
    env: x
signature:
  inputs: '[{"type": "double", "name": "it''s"}, {"type":
    "string", "name": "cut", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: null
utc_time_created: '2026-11-20'
`;

describe("an MLmodel file", () => {
  it("gives its signature, folded lines and quotes included", () => {
    expect(signatureOf(mlmodel)).toEqual({
      inputs: [
        { name: "it's", type: "double", required: true },
        { name: "cut", type: "string", required: false },
      ],
      outputs: [{ name: "(1)", type: "float64 [-1, 2]", required: true }],
    });
  });

  it("may have none", () => {
    expect(signatureOf("flavors:\n  crate: {}\n")).toBeUndefined();
  });

  it("names its flavors", () => {
    expect(flavorsOf(mlmodel)).toEqual(["crate", "python_function"]);
  });
});

describe("pathInRun", () => {
  it.each([
    ["runs:/abc/model", "model"],
    ["runs:/other/model", undefined],
    ["mlflow-artifacts:/1/abc/artifacts/a/b/", "a/b"],
    ["s3://bucket/1/abc/artifacts/model", "model"],
    ["s3://bucket/models/price", undefined],
  ])("%s", (source, path) => {
    expect(pathInRun(version({ source }))).toBe(path);
  });

  it("is unknown without a run", () => {
    expect(pathInRun(version({ run_id: undefined }))).toBeUndefined();
  });
});

it("finds a version's aliases in the model", () => {
  const model: RegisteredModel = {
    name: "price",
    creation_timestamp: 1,
    last_updated_timestamp: 1,
    aliases: [
      { alias: "champion", version: "3" },
      { alias: "old", version: "1" },
    ],
  };
  expect(aliasesOf(model, version({}))).toEqual(["champion"]);
  expect(aliasesOf(undefined, version({ aliases: ["x"] }))).toEqual(["x"]);
});
