import { useQueryClient } from "@tanstack/react-query";
import { changed, inverseOf, type RunChange } from "../lib/edit";
import { plural } from "../lib/format";
import { useUndo } from "../ui/Undo";
import { post } from "./client";
import { runQuery } from "./queries";
import type { Experiment, Run } from "./types.gen";

const send = (runId: string, change: RunChange) =>
  "name" in change
    ? post("runs/update", { run_id: runId, run_name: change.name })
    : change.value === undefined
      ? post("runs/delete-tag", { run_id: runId, key: change.tag })
      : post("runs/set-tag", { run_id: runId, key: change.tag, value: change.value });

/** Changes a run: on the screen at once, then on the server, with a way back. */
export function useRunChange(runId: string) {
  const queries = useQueryClient();
  const { done, failed } = useUndo();
  const { queryKey } = runQuery(runId);
  const apply = async (change: RunChange) => {
    await queries.cancelQueries({ queryKey });
    const before = queries.getQueryData(queryKey);
    queries.setQueryData(queryKey, (run) => run && changed(run, change));
    try {
      await send(runId, change);
    } catch (error) {
      queries.setQueryData(queryKey, before);
      throw error;
    }
    await queries.invalidateQueries({ queryKey: ["runs"] });
  };
  return (run: Run, change: RunChange, words: string) => {
    const back = inverseOf(run, change);
    apply(change).then(() => done(words, () => apply(back)), failed);
  };
}

/** Deletes runs and restores them; each can be taken back. */
export function useRunLifecycle() {
  const queries = useQueryClient();
  const { done, failed } = useUndo();
  const apply = async (ids: readonly string[], action: "delete" | "restore") => {
    try {
      for (const run_id of ids) await post(`runs/${action}`, { run_id });
    } finally {
      // Also after a failure in the middle: what was done before it is to be seen.
      await Promise.all(
        ["runs", "run", "run-count", "run-overview", "overview", "runs-by-id"].map((key) =>
          queries.invalidateQueries({ queryKey: [key] }),
        ),
      );
    }
  };
  return {
    remove: (ids: readonly string[]) =>
      apply(ids, "delete").then(
        () => done(`Deleted ${plural(ids.length, "run")}`, () => apply(ids, "restore")),
        failed,
      ),
    restore: (ids: readonly string[]) =>
      apply(ids, "restore").then(
        () => done(`Restored ${plural(ids.length, "run")}`, () => apply(ids, "delete")),
        failed,
      ),
  };
}

/** Renames, deletes and restores an experiment; each can be taken back. */
export function useExperimentChange() {
  const queries = useQueryClient();
  const { done, failed } = useUndo();
  const refresh = () =>
    Promise.all(
      ["experiment", "experiments", "overview", "runs", "run-count"].map((key) =>
        queries.invalidateQueries({ queryKey: [key] }),
      ),
    );
  const call = async (path: string, body: object) => {
    await post(path, body);
    await refresh();
  };
  const lifecycle = (
    e: Experiment,
    action: "delete" | "restore",
    inverse: "delete" | "restore",
  ) => {
    const body = { experiment_id: e.experiment_id };
    const words = action === "delete" ? "Deleted" : "Restored";
    return call(`experiments/${action}`, body).then(
      () => done(`${words} ${e.name}`, () => call(`experiments/${inverse}`, body)),
      failed,
    );
  };
  return {
    rename: (e: Experiment, name: string) => {
      const to = (new_name: string) =>
        call("experiments/update", { experiment_id: e.experiment_id, new_name });
      return to(name).then(() => done(`Renamed to ${name}`, () => to(e.name)), failed);
    },
    remove: (e: Experiment) => lifecycle(e, "delete", "restore"),
    restore: (e: Experiment) => lifecycle(e, "restore", "delete"),
  };
}
