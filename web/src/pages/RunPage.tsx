import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useRouterState, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { useRunChange, useRunLifecycle } from "../api/changes";
import { runOverviewQuery, runQuery, versionsQuery } from "../api/queries";
import { parentOf, valuesOf } from "../lib/columns";
import type { RunSearch } from "../router";
import { ArtifactBrowser } from "../ui/ArtifactBrowser";
import { Editable } from "../ui/Editable";
import { LifecycleMenu } from "../ui/LifecycleMenu";
import { PageHead } from "../ui/Page";
import { Status } from "../ui/Status";
import { ErrorState, Loading } from "../ui/states";
import css from "./RunPage.module.css";
import { RunFacts } from "./run/RunFacts";
import { RunMetrics } from "./run/RunMetrics";
import { RunOverview } from "./run/RunOverview";

type Tab = "overview" | "model-metrics" | "system-metrics" | "artifacts";

const tabNames: Record<Tab, string> = {
  overview: "Overview",
  "model-metrics": "Metrics",
  "system-metrics": "System metrics",
  artifacts: "Artifacts",
};

function tabOf(path: string): Tab {
  const rest = path.split("/").slice(5)[0];
  return rest === "model-metrics" || rest === "system-metrics" || rest === "artifacts"
    ? rest
    : "overview";
}

const paths = {
  overview: "/experiments/$experimentId/runs/$runId",
  "model-metrics": "/experiments/$experimentId/runs/$runId/model-metrics",
  "system-metrics": "/experiments/$experimentId/runs/$runId/system-metrics",
  artifacts: "/experiments/$experimentId/runs/$runId/artifacts",
} as const;

/** The keys 1 to 4 go to the tabs, unless something is being typed. */
function useTabKeys(tabs: Tab[], go: (tab: Tab) => void) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof HTMLElement && event.target.closest("input, textarea, select"))
        return;
      const tab = tabs[Number(event.key) - 1];
      if (tab) go(tab);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [tabs, go]);
}

/** One run: what it is, what it was given, what came out. */
export function RunPage() {
  const params = useParams({ strict: false }) as {
    experimentId: string;
    runId: string;
    _splat?: string;
  };
  const { experimentId, runId } = params;
  const search = useSearch({ strict: false }) as RunSearch;
  const navigate = useNavigate();
  const tab = useRouterState({ select: (s) => tabOf(s.location.pathname) });

  const { data: run, error, refetch } = useQuery(runQuery(runId));
  const overview = useQuery(runOverviewQuery(runId, run?.info.status === "RUNNING"));
  // A link into the artifacts spends its requests on folders; who registered what is one tab away.
  const versions = useQuery({
    ...versionsQuery({ run_id: runId }),
    enabled: run !== undefined && tab !== "artifacts",
  });

  const hasSystem = useMemo(
    () => run?.data.metrics?.some((metric) => metric.key.startsWith("system/")) ?? false,
    [run],
  );
  const tabs = useMemo(
    () =>
      (Object.keys(tabNames) as Tab[]).filter(
        (one) => one !== "system-metrics" || hasSystem || tab === "system-metrics",
      ),
    [hasSystem, tab],
  );
  const goTo = useMemo(
    () => (to: Tab) => navigate({ to: paths[to], params: { experimentId, runId } }),
    [navigate, experimentId, runId],
  );
  useTabKeys(tabs, goTo);

  const change = useRunChange(runId);
  const lifecycle = useRunLifecycle();

  if (error && !run) return <ErrorState error={error} retry={refetch} />;

  const parent = overview.data?.parent?.run_id ?? (run && parentOf(run));
  const name = run ? run.info.run_name || runId : "";
  const setView = (change: RunSearch) =>
    navigate({
      to: ".",
      search: ((old: RunSearch) => ({ ...old, ...change })) as never,
      replace: true,
    });

  return (
    <>
      <PageHead
        crumbs={[
          { label: "Experiments", link: { to: "/experiments" } },
          {
            label: overview.data?.experiment_name ?? experimentId,
            link: { to: "/experiments/$experimentId", params: { experimentId } },
          },
          ...(parent
            ? [
                {
                  label: overview.data?.parent?.run_name || "parent run",
                  link: {
                    to: "/experiments/$experimentId/runs/$runId" as const,
                    params: { experimentId, runId: parent },
                  },
                },
              ]
            : []),
        ]}
        title={
          <>
            {run ? <Status status={run.info.status} /> : null}
            {run ? (
              <Editable
                key={runId}
                value={name}
                label="name"
                required
                onSave={(next) => change(run, { name: next }, `Renamed to ${next}`)}
              />
            ) : null}
          </>
        }
        name={name}
      >
        {run ? (
          <LifecycleMenu
            what="run"
            deleted={run.info.lifecycle_stage === "deleted"}
            onDelete={() => lifecycle.remove([runId])}
            onRestore={() => lifecycle.restore([runId])}
          />
        ) : null}
      </PageHead>
      {run ? <RunFacts run={run} versions={versions.data} /> : <div className={css.factsSpace} />}
      <nav className={css.tabs} aria-label="Run">
        {tabs.map((one) => (
          <Link
            key={one}
            to={paths[one]}
            params={{ experimentId, runId }}
            search={{}}
            className={css.tab}
            activeOptions={{ exact: one === "overview", includeSearch: false }}
          >
            {tabNames[one]}
            {run && one === "model-metrics" ? (
              <span className={css.count}>{valuesOf(run).metrics.size}</span>
            ) : null}
          </Link>
        ))}
      </nav>
      {!run ? (
        <Loading />
      ) : tab === "artifacts" ? (
        <ArtifactBrowser
          runId={runId}
          artifactUri={run.info.artifact_uri}
          path={params._splat ?? ""}
          onOpen={(path) =>
            navigate({
              to: "/experiments/$experimentId/runs/$runId/artifacts/$",
              params: { experimentId, runId, _splat: path },
              replace: true,
            })
          }
        />
      ) : tab === "overview" ? (
        <RunOverview run={run} overview={overview.data} view={search} onView={setView} />
      ) : (
        <RunMetrics
          run={run}
          overview={overview.data}
          system={tab === "system-metrics"}
          view={search}
          onView={setView}
        />
      )}
    </>
  );
}
