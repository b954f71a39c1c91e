import type { Float, Run, RunStatus } from "../api/types.gen";

interface Made {
  id: string;
  name?: string;
  parent?: string;
  status?: RunStatus;
  metrics?: Record<string, Float>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
}

/** A run for a test. */
export function makeRun({ id, name = id, parent, status = "FINISHED", ...data }: Made): Run {
  const tags = { ...data.tags, ...(parent ? { "mlflow.parentRunId": parent } : {}) };
  const pairs = (of: Record<string, string>) =>
    Object.entries(of).map(([key, value]) => ({ key, value }));
  return {
    info: {
      run_id: id,
      run_uuid: id,
      run_name: name,
      experiment_id: "1",
      user_id: "mara",
      status,
      start_time: 1_700_000_000_000,
      end_time: 1_700_000_012_000,
      artifact_uri: `mlflow-artifacts:/1/${id}/artifacts`,
      lifecycle_stage: "active",
    },
    data: {
      metrics: Object.entries(data.metrics ?? {}).map(([key, value]) => ({
        key,
        value,
        timestamp: 1,
        step: 0,
      })),
      params: pairs(data.params ?? {}),
      tags: pairs(tags),
    },
    inputs: {},
  };
}
