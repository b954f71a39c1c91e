import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { runQuery, runsByIdQuery } from "../api/queries";
import type { RunSearch } from "../router";
import { ChartPanel } from "../ui/ChartPanel";
import { PageHead, Section } from "../ui/Page";
import { EmptyState } from "../ui/states";
import css from "./run/Run.module.css";

/** One metric of some runs in one chart: where MLflow's links to a metric lead. */
export function MetricPage() {
  const search = useSearch({ from: "/metric" });
  const navigate = useNavigate({ from: "/metric" });
  const { runs: ids, metric } = search;
  // A link names runs by id only, and their experiments if it is MLflow's.
  const first = useQuery({ ...runQuery(ids[0] ?? ""), enabled: ids.length > 0 });
  const only = ids.length === 1 ? first.data : undefined;
  const drawn = useMemo(() => ids.slice(0, 100), [ids]);
  const own = first.data?.info.experiment_id;
  const experiments = useMemo(
    () => search.experiments ?? (own === undefined ? [] : [own]),
    [search.experiments, own],
  );
  const others = useQuery({
    ...runsByIdQuery(experiments, drawn),
    enabled: drawn.length > 1 && experiments.length > 0,
  });
  // The chart waits for the names rather than be asked for twice.
  const settled = !first.isLoading && !others.isLoading;
  const runs = useMemo(() => {
    if (!settled) return [];
    const known = [...(others.data ?? []), ...(first.data ? [first.data] : [])];
    const names = new Map(known.map(({ info }) => [info.run_id, info.run_name]));
    return drawn.map((id) => ({ id, label: names.get(id) || id.slice(0, 8) }));
  }, [settled, drawn, first.data, others.data]);
  const setView = (change: RunSearch) =>
    navigate({
      search: (old) => ({ ...old, ...change, metric: old.metric, runs: old.runs }),
      replace: true,
    });
  return (
    <>
      <PageHead
        crumbs={[{ label: "Experiments", link: { to: "/experiments" } }]}
        title={metric || "Metric"}
        name={metric}
      >
        {only ? (
          <Link
            to="/experiments/$experimentId/runs/$runId"
            params={{ experimentId: only.info.experiment_id, runId: only.info.run_id }}
          >
            {only.info.run_name || only.info.run_id}
          </Link>
        ) : (
          <span className="muted">
            {drawn.length} of {ids.length} runs shown
          </span>
        )}
      </PageHead>
      {ids.length === 0 || metric === "" ? (
        <EmptyState title="The link names no metric or no run" />
      ) : (
        <div className={css.single}>
          <Section title={metric}>
            <ChartPanel metric={metric} runs={runs} view={search} onView={setView} />
          </Section>
        </div>
      )}
    </>
  );
}
