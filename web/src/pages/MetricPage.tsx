import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { runQuery } from "../api/queries";
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
  // A link names runs by id only; the name of a single one is worth a request.
  const only = useQuery({ ...runQuery(ids[0] ?? ""), enabled: ids.length === 1 });
  const name = only.data?.info.run_name;
  const runs = useMemo(
    () =>
      ids.slice(0, 100).map((id) => ({ id, label: (ids.length === 1 && name) || id.slice(0, 8) })),
    [ids, name],
  );
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
        {only.data ? (
          <Link
            to="/experiments/$experimentId/runs/$runId"
            params={{ experimentId: only.data.info.experiment_id, runId: only.data.info.run_id }}
          >
            {name}
          </Link>
        ) : (
          <span className="muted">
            {runs.length} of {ids.length} runs shown
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
