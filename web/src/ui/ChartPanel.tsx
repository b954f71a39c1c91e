import { Button, SegmentedControl, Slider, Switch } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { chartQuery } from "../api/queries";
import { formatNumber, plural } from "../lib/format";
import { extremes, type Line, oddities, type XMode } from "../lib/series";
import type { RunSearch } from "../router";
import { Chart, lineColors } from "./Chart";
import css from "./ChartPanel.module.css";
import { ErrorState } from "./states";

interface ChartPanelProps {
  metric: string;
  runs: { id: string; label: string }[];
  view: RunSearch;
  onView: (change: RunSearch) => void;
  /** Fetch again and again while a run is going. */
  live?: boolean;
}

const outward = ([from, to]: [number, number]): [number, number] => [
  Math.floor(from),
  Math.ceil(to),
];

/** What the server is asked for at a zoom. Relative times differ by run, so there the zoom is only a closer look. */
function rangeOf(x: XMode, zoom: [number, number]): [number, number] | undefined {
  if (x === "relative") return undefined;
  const [from, to] = outward(zoom);
  return x === "step" ? [from, to] : [from * 1000, to * 1000];
}

function summary(metric: string, lines: Line[]): string {
  const parts = lines.slice(0, 5).map((line) => {
    const last = line.points.at(-1);
    return `${line.label}: ${plural(line.total, "point")}${last ? `, last ${formatNumber(last.value)}` : ""}`;
  });
  return `${metric} of ${parts.join("; ")}`;
}

/** What the curve leaves out, in words, so that no gap is silent. */
function Notes({ lines, log }: { lines: Line[]; log: boolean }) {
  const { nan, up, down, notPositive } = oddities(lines);
  // Where a column stands for several points, its last one is known, and not how many were odd.
  const exact = lines.every((line) => line.total === line.points.length);
  const times = (n: number) => (exact ? `${n} × ` : `in ${n} places `);
  const notes = [
    ...(nan ? [`${times(nan)}NaN (▲ below)`] : []),
    ...(up ? [`${times(up)}Infinity (▼ above)`] : []),
    ...(down ? [`${times(down)}−Infinity (▲ below)`] : []),
    ...(log && notPositive ? [`${times(notPositive)}zero or less, not on a log axis`] : []),
  ];
  return notes.length > 0 ? <span className={css.notes}>{notes.join(" · ")}</span> : null;
}

/** One metric of some runs as curves, with the controls of the picture. Its settings are the page's URL. */
export function ChartPanel({ metric, runs, view, onView, live }: ChartPanelProps) {
  const x: XMode = view.x ?? "step";
  const zoom = useMemo(
    (): [number, number] | undefined =>
      view.from !== undefined && view.to !== undefined ? [view.from, view.to] : undefined,
    [view.from, view.to],
  );
  const { data, error, refetch, isPlaceholderData } = useQuery({
    ...chartQuery(metric, runs, x, zoom && rangeOf(x, zoom)),
    placeholderData: keepPreviousData,
    refetchInterval: live ? 1500 : false,
  });
  // The curve follows the slider at once; the URL gets the value when the hand rests.
  const [share, setShare] = useState(view.smooth ?? 0);
  useEffect(() => setShare(view.smooth ?? 0), [view.smooth]);
  const empty = data?.every((line) => line.points.length === 0);
  const allOdd = data?.every((line) => line.points.every((p) => !Number.isFinite(p.value)));

  return (
    <div className={css.panel}>
      <div className={css.controls}>
        <SegmentedControl
          size="xs"
          aria-label="Horizontal axis"
          value={x}
          onChange={(value) =>
            onView({
              x: value === "step" ? undefined : (value as XMode),
              from: undefined,
              to: undefined,
            })
          }
          data={[
            { value: "step", label: "Step" },
            { value: "relative", label: "Relative" },
            { value: "time", label: "Time" },
          ]}
        />
        <Switch
          size="xs"
          label="Log"
          checked={view.log ?? false}
          onChange={(event) => onView({ log: event.currentTarget.checked || undefined })}
        />
        <div className={css.smooth}>
          <span id="smooth">Smooth</span>
          <Slider
            size="xs"
            w={96}
            min={0}
            max={0.99}
            step={0.01}
            label={null}
            thumbSize={14}
            thumbLabel="Smoothing"
            value={share}
            onChange={setShare}
            onChangeEnd={(value) => onView({ smooth: value || undefined })}
          />
          <span className="num muted" style={{ width: 28 }}>
            {share ? share.toFixed(2) : "off"}
          </span>
        </div>
        <Button
          size="compact-xs"
          variant="default"
          ml="auto"
          style={{ visibility: zoom ? "visible" : "hidden" }}
          onClick={() => onView({ from: undefined, to: undefined })}
        >
          Show all
        </Button>
      </div>
      <div className={css.plot} data-waiting={isPlaceholderData || undefined}>
        {error ? (
          <ErrorState error={error} retry={refetch} />
        ) : !data ? null : empty ? (
          <p className={css.nothing}>No points {zoom ? "in this range" : "yet"}</p>
        ) : (
          <>
            {allOdd ? <p className={css.nothing}>Every value is NaN or infinite</p> : null}
            <Chart
              lines={data}
              x={x}
              log={view.log ?? false}
              share={share}
              zoom={zoom}
              onZoom={(next) => {
                const whole = next && x !== "relative" ? outward(next) : next;
                onView({ from: whole?.[0], to: whole?.[1] });
              }}
              label={summary(metric, data)}
            />
          </>
        )}
      </div>
      <div className={css.foot}>
        {runs.length > 1 ? (
          <Legend lines={data ?? []} />
        ) : data?.[0] ? (
          <Range line={data[0]} />
        ) : null}
        {data ? <Notes lines={data} log={view.log ?? false} /> : null}
      </div>
    </div>
  );
}

function Range({ line }: { line: Line }) {
  const found = extremes(line);
  if (!found) return null;
  const { min, max, last } = found;
  return (
    <span className={`${css.range} num`}>
      {(["min", "max", "last"] as const).map((name) => (
        <span key={name} title={String({ min, max, last }[name])}>
          <span className="muted">{name} </span>
          {formatNumber({ min, max, last }[name])}
        </span>
      ))}
      <span className="muted">{plural(line.total, "point")}</span>
    </span>
  );
}

function Legend({ lines }: { lines: Line[] }) {
  return (
    <ul className={css.legend}>
      {lines.map((line, i) => (
        <li key={line.id}>
          <i
            style={{
              background: `light-dark(${lineColors.light[i % 10]}, ${lineColors.dark[i % 10]})`,
            }}
          />
          {line.label}
          {line.points.length === 0 ? <span className="muted"> (no points)</span> : null}
        </li>
      ))}
    </ul>
  );
}
