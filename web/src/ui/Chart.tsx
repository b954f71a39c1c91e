import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import { formatDuration, formatNumber, formatTime } from "../lib/format";
import { type Aligned, align, type Layer, type Line, type XMode } from "../lib/series";
import css from "./Chart.module.css";

/** Ten colours that stay apart on white and on the dark ground, also for most colour-blind readers. */
export const lineColors = {
  light: [
    "#0e6b86",
    "#c2410c",
    "#5b5bd6",
    "#b4237a",
    "#4d7c0f",
    "#a16207",
    "#0284c7",
    "#7c2d92",
    "#047857",
    "#64748b",
  ],
  dark: [
    "#5fc0d9",
    "#ff9a62",
    "#a5a5ff",
    "#f27fbf",
    "#a3cf5a",
    "#e3b341",
    "#65b8ff",
    "#d29bf0",
    "#54d3a0",
    "#a3b1bf",
  ],
};

interface ChartProps {
  lines: Line[];
  x: XMode;
  log: boolean;
  /** 0 to 0.99: how much of its influence a value keeps to the next one. */
  share: number;
  zoom?: [number, number];
  onZoom: (zoom: [number, number] | undefined) => void;
  label: string;
}

const css2 = (name: string) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function xText(mode: XMode, x: number): string {
  if (mode === "step") return `step ${x}`;
  return mode === "time" ? formatTime(x * 1000) : formatDuration(x * 1000);
}

/** Small triangles at the edge where a line has a value that no axis shows: below for NaN and −∞, above for ∞. */
function drawMarks(u: uPlot, marks: Aligned["marks"], colors: string[]) {
  const { ctx, bbox } = u;
  const size = 4 * devicePixelRatio;
  ctx.save();
  for (const { x, line, kind } of marks) {
    const cx = u.valToPos(x, "x", true);
    if (cx < bbox.left || cx > bbox.left + bbox.width) continue;
    const up = kind === "up";
    const cy = up ? bbox.top : bbox.top + bbox.height;
    const tip = up ? size : -size;
    ctx.fillStyle = colors[line % colors.length] ?? "";
    ctx.beginPath();
    ctx.moveTo(cx - size, cy);
    ctx.lineTo(cx + size, cy);
    ctx.lineTo(cx, cy + tip * 1.6);
    ctx.fill();
  }
  ctx.restore();
}

function seriesOf(layers: Layer[], lines: Line[], colors: string[]): uPlot.Series[] {
  const smoothed = layers.some((layer) => layer.role === "smooth");
  return layers.map(({ line, role }) => {
    const color = colors[line % colors.length];
    const one = (lines[line]?.points.length ?? 0) < 2;
    if (role === "min" || role === "max")
      // A spike is one pixel wide: its edge has to be drawn, or the pale band alone would hide it.
      return { stroke: `${color}88`, width: 1, points: { show: false } };
    return {
      label: lines[line]?.label,
      stroke: role === "raw" && smoothed ? `${color}55` : color,
      width: role === "raw" && smoothed ? 1 : 1.6,
      points: { show: one, size: 7, fill: color },
    };
  });
}

function bandsOf(layers: Layer[], colors: string[]): uPlot.Band[] {
  return layers.flatMap(({ line, role }, i) =>
    role === "max"
      ? [{ series: [i + 1, i + 2] as [number, number], fill: `${colors[line % colors.length]}2e` }]
      : [],
  );
}

/** Writes what the lines are worth below the pointer, nearest value of each. */
function showTip(
  u: uPlot,
  tip: HTMLElement,
  lines: Line[],
  layers: Layer[],
  colors: string[],
  mode: XMode,
) {
  const { idx, left = -1 } = u.cursor;
  if (idx == null || left < 0) {
    tip.hidden = true;
    return;
  }
  const rows = layers.flatMap(({ line, role }, i) => {
    if (
      role === "min" ||
      role === "max" ||
      (role === "raw" && layers.some((l) => l.line === line && l.role === "smooth"))
    )
      return [];
    const near = u.cursor.idxs?.[i + 1];
    if (near == null) return [];
    const y = u.data[i + 1]?.[near];
    // The extremes of a line, where they are drawn, are the two columns before its values.
    const [high, low] =
      layers[i - 1]?.line === line && layers[i - 1]?.role === "min"
        ? [u.data[i - 1]?.[near] ?? undefined, u.data[i]?.[near] ?? undefined]
        : [];
    return y == null ? [] : [{ line, y, low, high }];
  });
  tip.hidden = rows.length === 0;
  const head = document.createElement("div");
  head.className = css.tipHead ?? "";
  head.textContent = xText(mode, u.data[0][idx] ?? 0);
  tip.replaceChildren(
    head,
    ...rows
      .sort((a, b) => b.y - a.y)
      .slice(0, 14)
      .map(({ line, y, low, high }) => {
        const row = document.createElement("div");
        const dot = document.createElement("i");
        dot.style.background = colors[line % colors.length] ?? "";
        const name = document.createElement("span");
        name.textContent = lines[line]?.label ?? "";
        const value = document.createElement("b");
        value.textContent = formatNumber(y);
        row.append(dot, name, value);
        if (low !== undefined && high !== undefined && high > low) {
          const span = document.createElement("small");
          span.textContent = `${formatNumber(low)} to ${formatNumber(high)}`;
          row.append(span);
        }
        return row;
      }),
  );
  const width = tip.offsetWidth;
  const room = u.over.clientWidth;
  const x = left + 14 + width > room ? left - width - 14 : left + 14;
  tip.style.transform = `translate(${Math.max(0, x) + u.over.offsetLeft}px, 8px)`;
}

/** Metric curves. Drag to zoom, double-click to see all again. */
export function Chart({ lines, x, log, share, zoom, onZoom, label }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const scheme = useComputedColorScheme("light");
  const aligned = useMemo(() => align(lines, { share, log }), [lines, share, log]);
  const zoomed = useRef(onZoom);
  zoomed.current = onZoom;
  const [from, to] = zoom ?? [];

  useEffect(() => {
    const box = host.current;
    if (!box) return;
    const colors = lineColors[scheme];
    const { xs, columns, marks, layers } = aligned;
    const font = `11px ${css2("--mantine-font-family") || "sans-serif"}`;
    const axis: uPlot.Axis = {
      stroke: css2("--text-3"),
      font,
      grid: { stroke: css2("--line"), width: 1 },
      ticks: { stroke: css2("--line"), width: 1, size: 4 },
    };
    const options: uPlot.Options = {
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [10, 14, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: { size: 6 },
        dataIdx: (u, series, near, cursorX) => nearest(u, series, near, cursorX),
      },
      scales: {
        x: {
          time: x === "time",
          range: from !== undefined && to !== undefined ? [from, to] : undefined,
        },
        y: { distr: log ? 3 : 1 },
      },
      axes: [
        {
          ...axis,
          size: 30,
          gap: 4,
          values:
            x === "relative"
              ? (_u, ticks) => ticks.map((t) => formatDuration(t * 1000))
              : undefined,
        },
        {
          ...axis,
          size: 58,
          gap: 4,
          values: (_u, ticks) => ticks.map((t) => (t == null ? "" : tickText(t))),
        },
      ],
      series: [{}, ...seriesOf(layers, lines, colors)],
      bands: bandsOf(layers, colors),
      hooks: {
        setCursor: [(u) => tip.current && showTip(u, tip.current, lines, layers, colors, x)],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            zoomed.current([
              u.posToVal(u.select.left, "x"),
              u.posToVal(u.select.left + u.select.width, "x"),
            ]);
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          },
        ],
        draw: [(u) => drawMarks(u, marks, colors)],
      },
    };
    const u = new uPlot(options, [xs, ...columns] as uPlot.AlignedData, box);
    plot.current = u;
    const reset = () => zoomed.current(undefined);
    u.over.addEventListener("dblclick", reset);
    const watch = new ResizeObserver(() =>
      u.setSize({ width: box.clientWidth, height: box.clientHeight }),
    );
    watch.observe(box);
    return () => {
      watch.disconnect();
      u.over.removeEventListener("dblclick", reset);
      u.destroy();
      plot.current = undefined;
    };
  }, [aligned, lines, x, log, from, to, scheme]);

  return (
    <div className={css.frame} role="img" aria-label={label} data-testid="chart">
      <div ref={host} className={css.host} />
      <div ref={tip} className={css.tip} hidden />
    </div>
  );
}

function tickText(t: number): string {
  const size = Math.abs(t);
  if (size !== 0 && (size >= 1e6 || size < 1e-3))
    return t.toExponential().replace("e+", "e").replace("e-", "e−");
  return String(Number(t.toPrecision(6))).replace("-", "−");
}

/** A line without a point at this x answers with its nearest one within a few pixels. */
function nearest(u: uPlot, series: number, near: number, _x: number): number {
  const column = u.data[series];
  if (!column || column[near] != null) return near;
  for (let away = 1; away < 60; away++) {
    if (column[near - away] != null) return near - away;
    if (column[near + away] != null) return near + away;
  }
  return near;
}
