import { describe, expect, it } from "vitest";
import { align, type Line, linesOf, oddities, smooth, xsOf } from "./series";

const line = (id: string, points: [number, number, number][]): Line => ({
  id,
  label: id,
  points: points.map(([step, time, value]) => ({ step, time, value, min: value, max: value })),
});

describe("linesOf", () => {
  it("sorts points to their runs and joins those of one step, extremes kept", () => {
    const point = (run_id: string, step: number, timestamp: number, value: number | "NaN") => ({
      key: "m",
      run_id,
      step,
      timestamp,
      value,
    });
    const lines = linesOf(
      [point("b", 2, 20, 5), point("a", 1, 10, 3), point("a", 1, 11, 9), point("a", 1, 12, 4)],
      [
        { id: "a", label: "one" },
        { id: "b", label: "two" },
        { id: "c", label: "three" },
      ],
    );
    expect(lines[0]?.points).toEqual([{ step: 1, time: 12, value: 4, min: 3, max: 9 }]);
    expect(lines[1]?.points).toHaveLength(1);
    expect(lines[2]?.points).toEqual([]);
  });
});

describe("xsOf", () => {
  it("counts steps, or seconds from the line's own start", () => {
    const l = line("a", [
      [5, 3000, 1],
      [6, 2000, 1],
    ]);
    expect(xsOf(l, "step")).toEqual([5, 6]);
    expect(xsOf(l, "relative")).toEqual([1, 0]);
    expect(xsOf(l, "time")).toEqual([3, 2]);
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

describe("align", () => {
  const lines = [
    line("a", [
      [0, 0, 1],
      [2, 2, Number.NaN],
      [4, 4, 3],
    ]),
    line("b", [
      [1, 1, -5],
      [2, 2, Number.POSITIVE_INFINITY],
    ]),
  ];

  it("shares one axis: null breaks a line, undefined is no point", () => {
    const { xs, columns, marks } = align(lines, "step", { share: 0, log: false });
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
    const { columns } = align(lines, "step", { share: 0, log: true });
    expect(columns[1]).toEqual([undefined, null, null, undefined]);
    expect(oddities(lines)).toEqual({ nan: 1, up: 1, down: 0, notPositive: 1 });
  });

  it("draws a band where points stand for several", () => {
    const wide = [{ ...line("w", [[0, 0, 2]]) }];
    const point = wide[0]?.points[0];
    if (point) Object.assign(point, { min: 1, max: 3 });
    const roles = (share: number) =>
      align(wide, "step", { share, log: false }).layers.map((l) => l.role);
    expect(roles(0)).toEqual(["max", "min", "raw"]);
    expect(roles(0.5)).toEqual(["raw", "smooth"]);
  });
});
