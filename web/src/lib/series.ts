import type { ChartResponse } from "../api/types.gen";

export type XMode = "step" | "relative" | "time";

/** One column of a curve: where its last point stands, the last value, and the least and greatest of them. */
export interface Point {
  x: number;
  value: number;
  min: number;
  max: number;
}

/** A line of a chart: one metric of one run. */
export interface Line {
  id: string;
  label: string;
  points: Point[];
  /** How many logged points the line stands for. */
  total: number;
}

/**
 * Reads the server's buckets as lines in the order of the given runs. The x axis counts steps, or seconds since
 * 1970, or seconds since the line's own beginning.
 */
export function linesOf(
  answer: ChartResponse,
  runs: readonly { id: string; label: string }[],
  mode: XMode,
): Line[] {
  const curves = new Map(answer.curves.map((curve) => [curve.run_id, curve]));
  return runs.map(({ id, label }) => {
    const curve = curves.get(id);
    const buckets = curve?.buckets ?? [];
    const zero = mode === "relative" ? (buckets[0]?.from ?? 0) : 0;
    const unit = mode === "step" ? 1 : 1000;
    const points = buckets.map((bucket) => ({
      x: (bucket.to - zero) / unit,
      value: Number(bucket.last),
      min: Number(bucket.min),
      max: Number(bucket.max),
    }));
    return { id, label, points, total: curve?.points ?? 0 };
  });
}

/**
 * Exponential smoothing that weighs by distance on the x axis, so that uneven steps do not bend the curve: at the
 * average distance a value keeps the given share of its influence. The early values are corrected for the missing
 * past. NaN and the infinities stay where they are and do not spread.
 */
export function smooth(xs: readonly number[], ys: readonly number[], share: number): number[] {
  const first = xs[0] ?? 0;
  const range = (xs.at(-1) ?? 0) - first;
  if (share <= 0 || range <= 0) return [...ys];
  const average = range / (xs.length - 1);
  let sum = 0;
  let weight = 0;
  let before = first;
  return ys.map((y, i) => {
    if (!Number.isFinite(y)) return y;
    const x = xs[i] ?? before;
    const keep = share ** ((x - before) / average);
    before = x;
    sum = sum * keep + y;
    weight = weight * keep + 1;
    return sum / weight;
  });
}

export interface Oddities {
  nan: number;
  up: number;
  down: number;
  /** Values that a logarithmic axis cannot show. */
  notPositive: number;
}

/** What of the lines cannot be drawn as a point of the curve, counted. */
export function oddities(lines: readonly Line[]): Oddities {
  const found = { nan: 0, up: 0, down: 0, notPositive: 0 };
  for (const { points } of lines)
    for (const { value } of points) {
      if (Number.isNaN(value)) found.nan++;
      else if (value === Infinity) found.up++;
      else if (value === -Infinity) found.down++;
      else if (value <= 0) found.notPositive++;
    }
  return found;
}

/** The least, greatest and last value of a line, NaN left out; undefined when it has nothing else. */
export function extremes(line: Line): { min: number; max: number; last: number } | undefined {
  const last = line.points.at(-1);
  const known = line.points.filter((p) => !Number.isNaN(p.min));
  if (!last || known.length === 0) return undefined;
  const min = known.reduce((least, p) => Math.min(least, p.min), Number.POSITIVE_INFINITY);
  const max = known.reduce((most, p) => Math.max(most, p.max), Number.NEGATIVE_INFINITY);
  return { min, max, last: last.value };
}

type Cell = number | null | undefined;

/** Lines brought to one common x axis: null breaks a line, undefined is a place where a line has no point. */
export interface Aligned {
  xs: number[];
  columns: Cell[][];
  /** Where NaN and the infinities stand, by line. */
  marks: { x: number; line: number; kind: "nan" | "up" | "down" }[];
}

/** What is drawn of each line: the values, then their smoothed form and their extremes where they are needed. */
export interface Layer {
  line: number;
  role: "raw" | "smooth" | "min" | "max";
}

export function align(
  lines: readonly Line[],
  options: { share: number; log: boolean },
): Aligned & { layers: Layer[] } {
  const own = lines.map((line) => line.points.map((p) => p.x));
  const xs = [...new Set(own.flat())].sort((a, b) => a - b);
  const at = new Map(xs.map((x, i) => [x, i]));
  const columns: Cell[][] = [];
  const layers: Layer[] = [];
  const marks: Aligned["marks"] = [];

  const drawable = (y: number) => (Number.isFinite(y) && !(options.log && y <= 0) ? y : null);
  const add = (line: number, role: Layer["role"], ys: readonly number[]) => {
    const column: Cell[] = new Array(xs.length).fill(undefined);
    own[line]?.forEach((x, i) => {
      column[at.get(x) ?? 0] = drawable(ys[i] ?? Number.NaN);
    });
    columns.push(column);
    layers.push({ line, role });
  };

  lines.forEach((line, n) => {
    const values = line.points.map((p) => p.value);
    const widths = line.points.some((p) => p.max > p.min);
    if (widths && options.share <= 0) {
      add(
        n,
        "max",
        line.points.map((p) => p.max),
      );
      add(
        n,
        "min",
        line.points.map((p) => p.min),
      );
    }
    add(n, "raw", values);
    if (options.share > 0) add(n, "smooth", smooth(own[n] ?? [], values, options.share));
    values.forEach((y, i) => {
      const x = own[n]?.[i] ?? 0;
      if (Number.isNaN(y)) marks.push({ x, line: n, kind: "nan" });
      else if (!Number.isFinite(y)) marks.push({ x, line: n, kind: y > 0 ? "up" : "down" });
    });
  });
  return { xs, columns, marks, layers };
}
