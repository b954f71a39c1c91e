import type { Run } from "../api/types.gen";

/** What can be changed of a run by hand: its name, or one tag, which goes when it gets no value. */
export type RunChange = { name: string } | { tag: string; value: string | undefined };

const tagValue = (run: Run, key: string) => run.data.tags?.find((tag) => tag.key === key)?.value;

/** The run as it is after the change. */
export function changed(run: Run, change: RunChange): Run {
  if ("name" in change) {
    const named = changed(run, { tag: "mlflow.runName", value: change.name });
    return { ...named, info: { ...run.info, run_name: change.name } };
  }
  const others = (run.data.tags ?? []).filter((tag) => tag.key !== change.tag);
  const tags =
    change.value === undefined ? others : [...others, { key: change.tag, value: change.value }];
  return { ...run, data: { ...run.data, tags } };
}

/** The change that takes a change of this run back. */
export function inverseOf(run: Run, change: RunChange): RunChange {
  return "name" in change
    ? { name: run.info.run_name }
    : { tag: change.tag, value: tagValue(run, change.tag) };
}

/** The folders of a run that hold a model, of the list that clients keep in a tag. */
export function modelPathsOf(run: Run): string[] {
  try {
    const history = JSON.parse(tagValue(run, "mlflow.log-model.history") ?? "[]") as unknown;
    if (!Array.isArray(history)) return [];
    const paths = history.map((entry: { artifact_path?: unknown }) => entry?.artifact_path);
    return [...new Set(paths.filter((path): path is string => typeof path === "string"))];
  } catch {
    return [];
  }
}
