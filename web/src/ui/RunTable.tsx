import { useMediaQuery } from "@mantine/hooks";
import type { RowSelectionState } from "@tanstack/react-table";
import { useMemo } from "react";
import type { Run } from "../api/types.gen";
import { columnOf, parentOf, valuesOf } from "../lib/columns";
import { alignmentPad, decimals, formatDuration, formatNumber } from "../lib/format";
import type { RunNode } from "../lib/tree";
import { Grid, type GridColumn, type Sort } from "./Grid";
import { Ago, useNow } from "./Page";
import css from "./RunTable.module.css";
import { Status } from "./Status";

/** A number with its decimal point in line with the others of its column; all digits on hover. */
export function Num({ value, places = 0 }: { value: number; places?: number }) {
  const text = formatNumber(value);
  const pad = alignmentPad(text, places);
  return (
    <span className="num" title={String(value)} data-odd={Number.isFinite(value) ? undefined : ""}>
      {text}
      {pad ? (
        <span className={css.pad} aria-hidden="true">
          {pad}
        </span>
      ) : null}
    </span>
  );
}

const none = <span className="muted">–</span>;

const groupNames = { metrics: "Metrics", params: "Parameters", tags: "Tags", attributes: "" };

/** Columns are as wide as their longest text of the sampled runs, within limits, so that few are cut off. */
function widthFor(header: string, texts: string[], least: number): number {
  const longest = Math.max(0, ...texts.map((t) => t.length));
  return Math.max(
    least,
    Math.min(210, Math.ceil(18 + Math.max(header.length * 6.7 + 14, longest * 7.4))),
  );
}

function valueColumn(id: string, runs: Run[]): GridColumn<RunNode> {
  const { kind, key } = columnOf(id);
  const base = {
    id,
    testKey: key,
    header: key,
    title: `${kind}.${key}`,
    group: groupNames[kind],
    sortable: true,
  };
  if (kind === "metrics") {
    const texts = runs.flatMap((run) => {
      const metric = valuesOf(run).metrics.get(key);
      return metric ? [formatNumber(metric.value)] : [];
    });
    const places = Math.min(6, Math.max(0, ...texts.map(decimals)));
    return {
      ...base,
      width: widthFor(key, texts, 84),
      right: true,
      cell: ({ run }) => {
        const metric = valuesOf(run).metrics.get(key);
        return metric ? <Num value={metric.value} places={places} /> : none;
      },
    };
  }
  const texts = runs.flatMap((run) => valuesOf(run)[kind as "params" | "tags"].get(key) ?? []);
  const numeric =
    texts.length > 0 && texts.every((t) => t.trim() !== "" && !Number.isNaN(Number(t)));
  return {
    ...base,
    width: widthFor(key, texts, 72),
    right: numeric,
    cell: ({ run }) => {
      const value = valuesOf(run)[kind as "params" | "tags"].get(key);
      if (value === undefined) return none;
      return (
        <span className="truncate" title={value}>
          {value}
        </span>
      );
    },
  };
}

/** Wide enough for the names as far as there is room, and then for whatever room is left. */
function nameWidth(runs: Run[], nested: boolean): number {
  const longest = Math.max(0, ...runs.map((run) => run.info.run_name.length));
  const depth = nested && runs.some(parentOf) ? 36 : 0;
  return Math.max(200, Math.min(300, Math.ceil(46 + depth + longest * 7.2)));
}

function nameColumn(width: number): GridColumn<RunNode> {
  return {
    grow: true,
    id: "attributes.run_name",
    testKey: "run_name",
    header: "Run",
    width,
    sortable: true,
    cell: ({ run, guest }) => (
      <>
        <Status status={run.info.status} />
        {/* A plain anchor: a router's link for every row would cost more than the rest of the row. */}
        <a
          href={`#/experiments/${run.info.experiment_id}/runs/${run.info.run_id}`}
          className={`${css.name} truncate`}
          title={guest ? `${run.info.run_name} (shown for its nested runs)` : run.info.run_name}
          tabIndex={-1}
        >
          {run.info.run_name || run.info.run_id}
        </a>
      </>
    ),
  };
}

function timeColumns(now: number): GridColumn<RunNode>[] {
  return [
    {
      id: "attributes.start_time",
      testKey: "start_time",
      header: "Started",
      width: 96,
      right: true,
      sortable: true,
      cell: ({ run }) => <Ago time={run.info.start_time} now={now} />,
    },
    {
      id: "duration",
      header: "Duration",
      width: 96,
      right: true,
      cell: ({ run: { info } }) =>
        info.end_time ? (
          formatDuration(info.end_time - info.start_time)
        ) : info.status === "RUNNING" ? (
          <span className="muted">{formatDuration(Math.max(0, now - info.start_time))}</span>
        ) : (
          none
        ),
    },
  ];
}

const lastColumns: GridColumn<RunNode>[] = [
  {
    id: "user",
    header: "User",
    group: "Origin",
    width: 84,
    cell: ({ run }) => (
      <span className="truncate">{valuesOf(run).tags.get("mlflow.user") ?? run.info.user_id}</span>
    ),
  },
  {
    id: "source",
    header: "Source",
    group: "Origin",
    width: 150,
    cell: ({ run }) => {
      const source = valuesOf(run).tags.get("mlflow.source.name") ?? "";
      return (
        <span className="truncate" title={source}>
          {source.split("/").slice(-2).join("/")}
        </span>
      );
    },
  },
];

interface RunTableProps {
  rows: RunNode[];
  /** How many rows there are in all, when that is known and more than have come. */
  total?: number;
  /** Some of the runs, from which widths and decimal places are taken. */
  sample: Run[];
  columns: string[];
  nested: boolean;
  sort: Sort;
  onSort: (id: string) => void;
  selection: RowSelectionState;
  onSelection: (next: RowSelectionState) => void;
  onOpen: (run: Run) => void;
  onDelete?: () => void;
  onEnd: () => void;
}

/** The table of runs: who and when, then the chosen metrics and params, then where each run came from. */
export function RunTable(props: RunTableProps) {
  const { sample, columns, nested } = props;
  const now = useNow();
  const values = useMemo(() => columns.map((id) => valueColumn(id, sample)), [columns, sample]);
  // On a narrow screen the values come right after the name; when a run was is found by scrolling.
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const grid = useMemo(
    () =>
      narrow
        ? [nameColumn(158), ...values, ...timeColumns(now), ...lastColumns]
        : [nameColumn(nameWidth(sample, nested)), ...timeColumns(now), ...values, ...lastColumns],
    [values, sample, nested, now, narrow],
  );
  return (
    <Grid
      label="Runs"
      testId="run-table"
      rowTestId="run-row"
      rows={props.rows}
      total={props.total}
      columns={grid}
      rowId={(node) => node.run.info.run_id}
      subRows={props.nested ? (node) => node.children : undefined}
      sort={props.sort}
      onSort={props.onSort}
      selection={props.selection}
      onSelection={props.onSelection}
      onOpen={(node) => props.onOpen(node.run)}
      onDelete={props.onDelete}
      onEnd={props.onEnd}
      rowClass={(node) => (node.guest ? css.guest : undefined)}
    />
  );
}
