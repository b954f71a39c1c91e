import { describe, expect, it } from "vitest";
import type { Float } from "../api/types.gen";
import { align, extremes, type Line, linesOf, oddities, smooth } from "./series";

const line = (id: string, points: [number, number][]): Line => ({
  id,
  label: id,
  points: points.map(([x, value]) => ({ x, value, min: value, max: value })),
  total: points.length,
});

describe("linesOf", () => {
  const bucket = (from: number, to: number, last: Float) => ({ from, to, min: 1, max: 3, last });
  const answer = {
    from: 1000,
    to: 9000,
    curves: [
      { run_id: "b", points: 1, buckets: [bucket(5000, 5000, "NaN")] },
      { run_id: "a", points: 40, buckets: [bucket(1000, 2000, 2), bucket(3000, 9000, 1)] },
    ],
  };
  const runs = ["a", "b", "c"].map((id) => ({ id, label: id }));

  it("gives a line to each run in order, also to one without points", () => {
    const lines = linesOf(answer, runs, "step");
    expect(lines.map((l) => [l.id, l.total, l.points.length])).toEqual([
      ["a", 40, 2],
      ["b", 1, 1],
      ["c", 0, 0],
    ]);
    expect(lines[0]?.points[0]).toEqual({ x: 2000, value: 2, min: 1, max: 3 });
    expect(lines[1]?.points[0]?.value).toBeNaN();
  });

  it("counts seconds since 1970, or since the line's own beginning", () => {
    const xs = (mode: "time" | "relative") =>
      linesOf(answer, runs, mode).map((l) => l.points.map((p) => p.x));
    expect(xs("time")).toEqual([[2, 9], [5], []]);
    expect(xs("relative")).toEqual([[1, 8], [0], []]);
  });
});

describe("smooth", () => {
  it("leaves a constant as it is and a line unsmoothed at 0", () => {
    expect(smooth([0, 1, 2], [4, 4, 4], 0.9)).toEqual([4, 4, 4]);
    expect(smooth([0, 1, 2], [1, 5, 2], 0)).toEqual([1, 5, 2]);
  });

  it("does not let NaN spread", () => {
    const ys = smooth([0, 1, 2, 3], [1, Number.NaN, 1, 1], 0.5);
    expect(ys[1]).toBeNaN();
    expect([ys[0], ys[2], ys[3]]).toEqual([1, 1, 1]);
  });

  it("weighs by distance: a far point counts for more than a near one", () => {
    const near = smooth([0, 1, 2, 10], [0, 0, 0, 1], 0.8);
    const far = smooth([0, 8, 9, 10], [0, 0, 0, 1], 0.8);
    expect(near[3]).toBeGreaterThan(far[3] ?? 1);
  });
});

it("knows a line's extremes, NaN left out", () => {
  const found = extremes(
    line("a", [
      [0, 3],
      [1, Number.NaN],
      [2, 9],
      [3, 4],
    ]),
  );
  expect(found).toEqual({ min: 3, max: 9, last: 4 });
  expect(extremes(line("b", [[0, Number.NaN]]))).toBeUndefined();
  expect(extremes(line("c", []))).toBeUndefined();
});

describe("align", () => {
  const lines = [
    line("a", [
      [0, 1],
      [2, Number.NaN],
      [4, 3],
    ]),
    line("b", [
      [1, -5],
      [2, Number.POSITIVE_INFINITY],
    ]),
  ];

  it("shares one axis: null breaks a line, undefined is no point", () => {
    const { xs, columns, marks } = align(lines, { share: 0, log: false });
    expect(xs).toEqual([0, 1, 2, 4]);
    expect(columns).toEqual([
      [1, undefined, null, 3],
      [undefined, -5, null, undefined],
    ]);
    expect(marks).toEqual([
      { x: 2, line: 0, kind: "nan" },
      { x: 2, line: 1, kind: "up" },
    ]);
  });

  it("keeps what a log axis cannot show off it, and counts it", () => {
    const { columns } = align(lines, { share: 0, log: true });
    expect(columns[1]).toEqual([undefined, null, null, undefined]);
    expect(oddities(lines)).toEqual({ nan: 1, up: 1, down: 0, notPositive: 1 });
  });

  it("draws a band where points stand for several", () => {
    const wide = [{ ...line("w", [[0, 2]]) }];
    const point = wide[0]?.points[0];
    if (point) Object.assign(point, { min: 1, max: 3 });
    const roles = (share: number) => align(wide, { share, log: false }).layers.map((l) => l.role);
    expect(roles(0)).toEqual(["max", "min", "raw"]);
    expect(roles(0.5)).toEqual(["raw", "smooth"]);
  });
});
