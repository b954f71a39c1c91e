import { describe, expect, it } from "vitest";
import { makeRun } from "../test/runs";
import {
  availableColumns,
  defaultColumns,
  exampleFilter,
  filledColumns,
  orderClause,
  orderColumn,
  valuesOf,
} from "./columns";

const runs = [
  makeRun({
    id: "a",
    metrics: { rmse: 541.3, same: 1, rare: 2 },
    params: { model: "ranger", seed: "42", mtry: "5" },
    tags: { team: "x", "mlflow.user": "mara" },
  }),
  makeRun({ id: "b", metrics: { rmse: 982, same: 1 }, params: { model: "rpart", seed: "42" } }),
];

describe("columns", () => {
  it("shows what differs and leaves out what is the same in all runs", () => {
    expect(defaultColumns(runs)).toEqual(["metrics.rmse", "params.model"]);
  });

  it("hides a column in which no run has a value", () => {
    expect(filledColumns(runs.slice(1), ["metrics.rare", "metrics.rmse", "params.mtry"])).toEqual([
      "metrics.rmse",
    ]);
  });

  it("shows everything of a single run", () => {
    expect(defaultColumns(runs.slice(1))).toEqual([
      "metrics.rmse",
      "metrics.same",
      "params.model",
      "params.seed",
    ]);
  });

  it("shows eight at most, half of them metrics when there are enough of both", () => {
    const keys = (n: number, x: number) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, x]));
    const many = [1, 2].map((x) =>
      makeRun({ id: String(x), metrics: keys(20, x), params: { p: String(x), q: `${x}` } }),
    );
    const chosen = defaultColumns(many);
    expect(chosen).toHaveLength(8);
    expect(chosen.slice(-2)).toEqual(["params.p", "params.q"]);
  });

  it("offers all keys but MLflow's own tags, in the order of people", () => {
    expect(availableColumns(runs)).toEqual([
      "metrics.rare",
      "metrics.rmse",
      "metrics.same",
      "params.model",
      "params.mtry",
      "params.seed",
      "tags.team",
    ]);
  });

  it("quotes keys in order clauses and reads MLflow's links", () => {
    expect(orderClause("metrics.val/loss 1", false)).toBe("metrics.`val/loss 1` DESC");
    expect(orderClause("attributes.start_time", true)).toBe("attributes.start_time ASC");
    expect(orderColumn("metrics.`val/loss`")).toBe("metrics.val/loss");
    expect(orderColumn("attributes.start_time")).toBe("attributes.start_time");
  });

  it("makes an example from the runs at hand", () => {
    expect(exampleFilter(runs, ["metrics.rmse", "params.seed", "params.model"])).toBe(
      "metrics.rmse < 541 and params.model = 'ranger'",
    );
    expect(exampleFilter([], [])).toBe("status = 'FINISHED'");
  });

  it("reads NaN and infinity from their words", () => {
    const run = makeRun({ id: "n", metrics: { a: "NaN", b: "-Infinity" } });
    expect(valuesOf(run).metrics.get("a")?.value).toBeNaN();
    expect(valuesOf(run).metrics.get("b")?.value).toBe(Number.NEGATIVE_INFINITY);
  });
});
