import type { Run } from "../api/types.gen";
import { isUserTag } from "./columns";

/** A key of the compared runs with what each of them has for it; undefined where a run lacks it. */
export interface CompareRow {
  id: string;
  kind: "metrics" | "params" | "tags";
  key: string;
  values: (string | number | undefined)[];
  differs: boolean;
}

const byKey = new Intl.Collator("en", { numeric: true }).compare;

/** Params, metrics and tags as rows, runs as columns. A key that some run lacks differs. */
export function compareRuns(runs: readonly Run[]): CompareRow[] {
  const rows = new Map<string, CompareRow>();
  runs.forEach((run, i) => {
    const put = (kind: CompareRow["kind"], key: string, value: string | number) => {
      const id = `${kind}.${key}`;
      let row = rows.get(id);
      if (!row) {
        row = { id, kind, key, values: new Array(runs.length).fill(undefined), differs: false };
        rows.set(id, row);
      }
      row.values[i] = value;
    };
    for (const p of run.data.params ?? []) put("params", p.key, p.value);
    for (const m of run.data.metrics ?? []) put("metrics", m.key, Number(m.value));
    for (const t of run.data.tags ?? []) if (isUserTag(t.key)) put("tags", t.key, t.value);
  });
  const order = ["params", "metrics", "tags"];
  const found = [...rows.values()];
  for (const row of found) row.differs = row.values.some((v) => !Object.is(v, row.values[0]));
  return found.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || byKey(a.key, b.key));
}
