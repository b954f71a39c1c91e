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
  const ids = (kind: ColumnKind, keys: Set<string>) => [...keys].sort(byName).map((key) => `${kind}.${key}`);
  return [...ids("metrics", metrics), ...ids("params", params), ...ids("tags", tags)];
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

const most = 8;

/**
 * The columns to show when nobody chose: up to eight metrics and eight params, those first whose values differ
 * among the runs and that most runs have. What is the same everywhere tells nothing and waits in the chooser.
 */
export function defaultColumns(runs: readonly Run[]): string[] {
  const pick = (kind: "metrics" | "params") => {
    const seen = new Map<string, { runs: number; values: Set<string> }>();
    for (const { data } of runs)
      for (const { key, value } of data[kind] ?? []) {
        let entry = seen.get(key);
        if (!entry) seen.set(key, (entry = { runs: 0, values: new Set() }));
        entry.runs++;
        if (entry.values.size < 2) entry.values.add(String(value));
      }
    const varies = (e: { runs: number; values: Set<string> }) => e.values.size > 1 || runs.length === 1;
    return [...seen]
      .filter(([key, entry]) => varies(entry) && !key.startsWith("system/"))
      .sort(([a, x], [b, y]) => y.runs - x.runs || byName(a, b))
      .slice(0, most)
      .map(([key]) => `${kind}.${key}`);
  };
  return [...pick("metrics"), ...pick("params")];
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
  let values = cache.get(run);
  if (!values) cache.set(run, (values = new RunValues(run)));
  return values;
}

export const parentOf = (run: Run) => valuesOf(run).tags.get("mlflow.parentRunId");
