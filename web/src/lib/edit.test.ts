import { describe, expect, it } from "vitest";
import { makeRun } from "../test/runs";
import { changed, inverseOf, modelPathsOf, type RunChange } from "./edit";

const run = makeRun({ id: "a", name: "first", tags: { team: "x", "mlflow.runName": "first" } });
const tagsOf = (of: typeof run) =>
  Object.fromEntries((of.data.tags ?? []).map((tag) => [tag.key, tag.value]));

describe("changes of a run", () => {
  const changes: RunChange[] = [
    { name: "second" },
    { tag: "team", value: "y" },
    { tag: "team", value: undefined },
    { tag: "new", value: "" },
  ];

  it("are taken back by their inverse", () => {
    for (const change of changes) {
      const after = changed(run, change);
      expect(after).not.toEqual(run);
      const back = changed(after, inverseOf(run, change));
      expect(back.info).toEqual(run.info);
      expect(tagsOf(back)).toEqual(tagsOf(run));
    }
  });

  it("name the run in its tag as well, as the server does", () => {
    const after = changed(run, { name: "second" });
    expect([after.info.run_name, tagsOf(after)["mlflow.runName"]]).toEqual(["second", "second"]);
    expect(run.info.run_name).toBe("first");
  });
});

describe("modelPathsOf", () => {
  const withHistory = (text: string) =>
    makeRun({ id: "a", tags: { "mlflow.log-model.history": text } });

  it("reads each folder once", () => {
    const history = [
      { artifact_path: "model" },
      { artifact_path: "m/2" },
      { artifact_path: "model" },
    ];
    expect(modelPathsOf(withHistory(JSON.stringify(history)))).toEqual(["model", "m/2"]);
  });

  it("finds nothing in what is not such a list", () => {
    for (const text of ["", "{", "{}", "[null, 3, {}]"])
      expect(modelPathsOf(withHistory(text))).toEqual([]);
    expect(modelPathsOf(run)).toEqual([]);
  });
});
