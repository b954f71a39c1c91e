import { expect, it } from "vitest";
import { makeRun } from "../test/runs";
import { compareRuns } from "./compare";

it("puts params, metrics and tags in rows and knows which differ", () => {
  const rows = compareRuns([
    makeRun({ id: "a", metrics: { loss: "NaN", auc: 0.9 }, params: { lr: "0.1", seed: "1" } }),
    makeRun({
      id: "b",
      metrics: { loss: "NaN" },
      params: { lr: "0.2", seed: "1" },
      tags: { t: "x" },
    }),
  ]);
  expect(rows.map((r) => [r.id, r.differs])).toEqual([
    ["params.lr", true],
    ["params.seed", false],
    ["metrics.auc", true],
    ["metrics.loss", false],
    ["tags.t", true],
  ]);
  expect(rows.find((r) => r.key === "auc")?.values).toEqual([0.9, undefined]);
});
