import { useMemo } from "react";
import type { Run, RunOverviewResponse } from "../../api/types.gen";
import type { RunSearch } from "../../router";
import { ChartPanel } from "../../ui/ChartPanel";
import { Section } from "../../ui/Page";
import { EmptyState } from "../../ui/states";
import { MetricList } from "./MetricList";
import css from "./Run.module.css";

interface RunMetricsProps {
  run: Run;
  overview?: RunOverviewResponse;
  system: boolean;
  view: RunSearch;
  onView: (change: RunSearch) => void;
}

/** The metrics beside a large chart of the chosen one. */
export function RunMetrics({ run, overview, system, view, onView }: RunMetricsProps) {
  const metrics = useMemo(
    () => (run.data.metrics ?? []).filter((m) => m.key.startsWith("system/") === system),
    [run, system],
  );
  const chosen = metrics.find((m) => m.key === view.metric) ?? firstCurve(metrics) ?? metrics[0];
  const label = run.info.run_name || run.info.run_id;
  const runs = useMemo(() => [{ id: run.info.run_id, label }], [run.info.run_id, label]);
  if (metrics.length === 0)
    return <EmptyState title={system ? "No system metrics" : "No metrics"} />;
  return (
    <div className={css.split}>
      <MetricList
        title={system ? "System metrics" : "Metrics"}
        metrics={metrics}
        summaries={overview?.metrics}
        chosen={chosen?.key}
        onChoose={(metric) => onView({ metric, from: undefined, to: undefined })}
      />
      <Section title={chosen?.key ?? ""}>
        <ChartPanel
          metric={chosen?.key ?? ""}
          runs={runs}
          view={view}
          onView={onView}
          live={run.info.status === "RUNNING"}
        />
      </Section>
    </div>
  );
}

/** The first metric that was logged over steps: the one whose curve tells something. */
export function firstCurve<M extends { key: string; step: number }>(metrics: readonly M[]) {
  return [...metrics]
    .filter((m) => m.step > 0 && !m.key.startsWith("system/"))
    .sort((a, b) => (a.key < b.key ? -1 : 1))[0];
}
