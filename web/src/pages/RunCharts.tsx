import { useMemo } from "react";
import type { Run } from "../api/types.gen";
import { plural } from "../lib/format";
import type { RunSearch } from "../router";
import { ChartPanel } from "../ui/ChartPanel";
import { Section } from "../ui/Page";
import { EmptyState } from "../ui/states";
import { MetricList } from "./run/MetricList";
import css from "./run/Run.module.css";
import { firstCurve } from "./run/RunMetrics";

const most = 10;

interface RunChartsProps {
  runs: Run[];
  /** The ids of the runs to draw; the first ones that have the metric when there are none. */
  chosen: string[];
  view: RunSearch;
  onView: (change: RunSearch) => void;
}

/** The curves of an experiment's runs, one metric at a time. */
export function RunCharts({ runs, chosen, view, onView }: RunChartsProps) {
  const metrics = useMemo(() => {
    const byKey = new Map(runs.flatMap((run) => run.data.metrics ?? []).map((m) => [m.key, m]));
    for (const { data } of runs)
      for (const m of data.metrics ?? [])
        if (m.step > (byKey.get(m.key)?.step ?? 0)) byKey.set(m.key, m);
    return [...byKey.values()];
  }, [runs]);
  const metric = view.metric ?? firstCurve(metrics)?.key ?? metrics[0]?.key;
  const having = useMemo(
    () => runs.filter((run) => run.data.metrics?.some((m) => m.key === metric)),
    [runs, metric],
  );
  const drawn = useMemo(() => {
    const wanted = new Set(chosen);
    const picked = wanted.size > 0 ? having.filter((run) => wanted.has(run.info.run_id)) : having;
    return picked
      .slice(0, wanted.size > 0 ? 100 : most)
      .map(({ info }) => ({ id: info.run_id, label: info.run_name || info.run_id }));
  }, [having, chosen]);
  if (!metric) return <EmptyState title="No run has a metric" />;
  return (
    <div className={css.split}>
      <MetricList
        title="Metrics"
        metrics={metrics}
        valueless
        chosen={metric}
        onChoose={(key) => onView({ metric: key, from: undefined, to: undefined })}
      />
      <Section
        title={metric}
        aside={
          <span className="muted num">
            {drawn.length} of {plural(having.length, "run")} shown
          </span>
        }
      >
        <ChartPanel
          metric={metric}
          runs={drawn}
          view={view}
          onView={onView}
          live={having.some((run) => run.info.status === "RUNNING")}
        />
      </Section>
    </div>
  );
}
