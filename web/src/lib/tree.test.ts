import { describe, expect, it } from "vitest";
import { makeRun } from "../test/runs";
import { missingParents, nest, type RunNode, withNewest } from "./tree";

/** A tree as text: a(b c(d)). */
const text = (nodes: RunNode[]): string =>
  nodes
    .map((n) => n.run.info.run_id + (n.children.length > 0 ? `(${text(n.children)})` : ""))
    .join(" ");

const a = makeRun({ id: "a" });
const b = makeRun({ id: "b", parent: "a" });
const c = makeRun({ id: "c", parent: "b" });
const d = makeRun({ id: "d" });

describe("nest", () => {
  it("puts runs below their parents at any depth, whatever the order", () => {
    expect(text(nest([a, b, c, d]))).toBe("a(b(c)) d");
    expect(text(nest([c, d, b, a]))).toBe("a(b(c)) d");
    expect(text(nest([d, c, a, b]))).toBe("d a(b(c))");
  });

  it("brings in a parent that the search did not find", () => {
    const found = [b, d];
    expect(missingParents(found)).toEqual(["a"]);
    const tree = nest(found, [a]);
    expect(text(tree)).toBe("a(b) d");
    expect(tree[0]?.guest).toBe(true);
  });

  it("leaves a run at the top whose parent is unknown", () => {
    expect(text(nest([b, d]))).toBe("b d");
  });

  it("shows every run of a cycle once", () => {
    const x = makeRun({ id: "x", parent: "y" });
    const y = makeRun({ id: "y", parent: "x" });
    const self = makeRun({ id: "s", parent: "s" });
    expect(text(nest([x, y, self]))).toBe("y(x) s");
  });

  it("keeps earlier families where they are when a page is added", () => {
    const first = text(nest([c, d], [b, a]));
    expect(first).toBe("a(b(c)) d");
    expect(text(nest([c, d, b, a, makeRun({ id: "e" })]))).toBe("a(b(c)) d e");
  });
});

describe("withNewest", () => {
  it("puts new runs first and shows the others as they are now", () => {
    const loaded = ["b", "c", "d"].map((id) => makeRun({ id, status: "RUNNING" }));
    const newest = [makeRun({ id: "a" }), makeRun({ id: "b" })];
    expect(withNewest(newest, loaded).map((r) => [r.info.run_id, r.info.status])).toEqual([
      ["a", "FINISHED"],
      ["b", "FINISHED"],
      ["c", "RUNNING"],
      ["d", "RUNNING"],
    ]);
  });
});
