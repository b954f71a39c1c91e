import type { Run } from "../api/types.gen";

export type ColumnKind = "metrics" | "params" | "tags" | "attributes";

/** A column of the runs table that shows a value of a run. */
export interface ValueColumn {
  id: string;
  kind: ColumnKind;
  key: string;
}

export function columnOf(id: string): ValueColumn {
  const dot = id.indexOf(".");
  const kind = id.slice(0, dot) as ColumnKind;
  return { id, kind, key: id.slice(dot + 1) };
}

/** The search grammar's name of a column; keys are quoted, since they may hold spaces, dashes and slashes. */
export function orderClause(id: string, ascending: boolean): string {
  const { kind, key } = columnOf(id);
  const name = kind === "attributes" ? `attributes.${key}` : `${kind}.\`${key}\``;
  return `${name} ${ascending ? "ASC" : "DESC"}`;
}

/** Reads the column out of MLflow's orderByKey, which may quote the key. */
export function orderColumn(key: string): string {
  return key.replace(/^(\w+)\.[`"](.*)[`"]$/, "$1.$2");
}

export const isUserTag = (key: string) => !key.startsWith("mlflow.");

/** Every key that the given runs have, as sorted column ids. */
export function availableColumns(runs: readonly Run[]): string[] {
  const metrics = new Set<string>();
  const params = new Set<string>();
  const tags = new Set<string>();
  for (const { data } of runs) {
    for (const m of data.metrics ?? []) metrics.add(m.key);
    for (const p of data.params ?? []) params.add(p.key);
    for (const t of data.tags ?? []) if (isUserTag(t.key)) tags.add(t.key);
  }
  const ids = (kind: ColumnKind, keys: Set<string>) =>
    [...keys].sort(byName).map((key) => `${kind}.${key}`);
  return [...ids("metrics", metrics), ...ids("params", params), ...ids("tags", tags)];
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

const most = 8;

/**
 * The columns to show when nobody chose: up to eight metrics and params whose values differ among the runs, those
 * first that most runs have, half of them metrics where there are enough of both. What is the same everywhere
 * tells nothing and waits in the chooser.
 */
export function defaultColumns(runs: readonly Run[]): string[] {
  const pick = (kind: "metrics" | "params") => {
    const seen = new Map<string, { runs: number; values: Set<string> }>();
    for (const { data } of runs)
      for (const { key, value } of data[kind] ?? []) {
        const entry = seen.get(key) ?? { runs: 0, values: new Set<string>() };
        seen.set(key, entry);
        entry.runs++;
        if (entry.values.size < 2) entry.values.add(String(value));
      }
    return [...seen]
      .filter(
        ([key, { values }]) => (values.size > 1 || runs.length === 1) && !key.startsWith("system/"),
      )
      .sort(([a, x], [b, y]) => y.runs - x.runs || byName(a, b))
      .map(([key]) => `${kind}.${key}`);
  };
  const metrics = pick("metrics");
  const params = pick("params");
  const half = most / 2;
  const ofMetrics = Math.max(half, most - params.length);
  const chosen = metrics.slice(0, ofMetrics);
  return [...chosen, ...params.slice(0, most - chosen.length)];
}

/** A run's values by key, made once per run. */
export class RunValues {
  readonly metrics: Map<string, { value: number; step: number }>;
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;

  constructor(readonly run: Run) {
    this.metrics = new Map(
      (run.data.metrics ?? []).map((m) => [m.key, { value: Number(m.value), step: m.step }]),
    );
    this.params = new Map((run.data.params ?? []).map((p) => [p.key, p.value]));
    this.tags = new Map((run.data.tags ?? []).map((t) => [t.key, t.value]));
  }
}

const cache = new WeakMap<Run, RunValues>();

export function valuesOf(run: Run): RunValues {
  const known = cache.get(run);
  if (known) return known;
  const values = new RunValues(run);
  cache.set(run, values);
  return values;
}

/** The run in which a run is nested. It is asked of every run, so it makes no maps. */
export const parentOf = (run: Run) =>
  run.data.tags?.find((tag) => tag.key === "mlflow.parentRunId")?.value;

/** The columns in which at least one of the runs has a value; one of dashes alone only takes room. */
export function filledColumns(runs: readonly Run[], columns: readonly string[]): string[] {
  return columns.filter((id) => {
    const { kind, key } = columnOf(id);
    if (kind === "attributes") return true;
    return runs.some(({ data }) => data[kind]?.some((one) => one.key === key));
  });
}

/** A filter that fits the runs at hand, since a grammar is learned from an example that works. */
export function exampleFilter(runs: readonly Run[], columns: readonly string[]): string {
  const quoted = (key: string) => (/^[A-Za-z_][\w.]*$/.test(key) ? key : `\`${key}\``);
  const first = (kind: ColumnKind, fits: (value: string) => boolean) => {
    for (const { key } of columns.map(columnOf).filter((column) => column.kind === kind))
      for (const { data } of runs) {
        const list: { key: string; value: string | number }[] =
          (kind === "metrics" ? data.metrics : data.params) ?? [];
        const value = String(list.find((one) => one.key === key)?.value ?? "");
        if (fits(value)) return { key: quoted(key), value };
      }
    return undefined;
  };
  const metric = first("metrics", (v) => v !== "" && Number.isFinite(Number(v)));
  const param = first(
    "params",
    (v) => v !== "" && !v.includes("'") && v.length < 20 && Number.isNaN(Number(v)),
  );
  const parts = [
    ...(metric ? [`metrics.${metric.key} < ${Number(Number(metric.value).toPrecision(3))}`] : []),
    ...(param ? [`params.${param.key} = '${param.value}'`] : ["status = 'FINISHED'"]),
  ];
  return parts.join(" and ");
}
