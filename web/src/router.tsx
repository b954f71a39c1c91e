import {
  createHashHistory,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type RouterHistory,
  redirect,
} from "@tanstack/react-router";
import { ExperimentsPage } from "./pages/ExperimentsPage";
import { ModelPage } from "./pages/ModelPage";
import { ModelsPage } from "./pages/ModelsPage";
import { NotFoundPage } from "./pages/NotFoundPage";
import { RunsPage } from "./pages/RunsPage";
import { VersionPage } from "./pages/VersionPage";
import { Shell } from "./ui/Shell";
import { CrashPage } from "./ui/states";

// The routes are MLflow's, so that links in wikis and notebooks keep working.

const rootRoute = createRootRoute({
  component: Shell,
  notFoundComponent: NotFoundPage,
  errorComponent: CrashPage,
});

const text = (value: unknown) =>
  value === undefined || value === null || value === ""
    ? undefined
    : typeof value === "string"
      ? value
      : String(value);

const homeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/experiments", replace: true });
  },
});

const experimentsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/experiments",
  validateSearch: (s: Record<string, unknown>): { q?: string; lifecycleFilter?: string } => ({
    q: text(s.q),
    lifecycleFilter: text(s.lifecycleFilter),
  }),
  component: ExperimentsPage,
});

/** What of the runs table is in the URL; the first four are MLflow's names. */
export interface RunsSearch {
  searchFilter?: string;
  orderByKey?: string;
  orderByAsc?: boolean;
  lifecycleFilter?: string;
  /** The chosen value columns. */
  columns?: string[];
  /** Whether nested runs stand below their parents; they do unless this is true. */
  flat?: boolean;
  /** CHART shows curves of the runs instead of the table; MLflow's name. */
  compareRunsMode?: string;
  /** The metric of the chart and how it is drawn. */
  chart?: RunSearch;
}

const truth = (value: unknown) =>
  value === undefined ? undefined : value === true || value === "true";
const texts = (value: unknown) => (Array.isArray(value) ? value.map(String) : undefined);

const runsSearch = (s: Record<string, unknown>): RunsSearch => ({
  searchFilter: text(s.searchFilter),
  orderByKey: text(s.orderByKey),
  orderByAsc: truth(s.orderByAsc),
  lifecycleFilter: text(s.lifecycleFilter),
  columns: texts(s.columns),
  flat: truth(s.flat),
  compareRunsMode: s.compareRunsMode === "CHART" ? "CHART" : undefined,
  chart:
    s.chart && typeof s.chart === "object"
      ? runSearch(s.chart as Record<string, unknown>)
      : undefined,
});

const experimentRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/experiments/$experimentId",
  validateSearch: runsSearch,
  component: RunsPage,
});

const experimentRunsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/experiments/$experimentId/runs",
  validateSearch: runsSearch,
  component: RunsPage,
});

/** How the chart of a run is set; part of the URL so that a link shows the same picture. */
export interface RunSearch {
  metric?: string;
  x?: "step" | "relative" | "time";
  log?: boolean;
  smooth?: number;
  from?: number;
  to?: number;
}

const number = (value: unknown) => {
  const n = Number(value);
  return value === undefined || value === "" || !Number.isFinite(n) ? undefined : n;
};

const runSearch = (s: Record<string, unknown>): RunSearch => ({
  metric: text(s.metric),
  x: s.x === "relative" || s.x === "time" ? s.x : undefined,
  log: truth(s.log) || undefined,
  smooth: number(s.smooth),
  from: number(s.from),
  to: number(s.to),
});

const runPage = lazyRouteComponent(() => import("./pages/withCharts"), "RunPage");
const runPath = "/experiments/$experimentId/runs/$runId";

const runRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: runPath,
  validateSearch: runSearch,
  component: runPage,
});
const runMetricsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: `${runPath}/model-metrics`,
  validateSearch: runSearch,
  component: runPage,
});
const runSystemRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: `${runPath}/system-metrics`,
  validateSearch: runSearch,
  component: runPage,
});
const runArtifactsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: `${runPath}/artifacts`,
  validateSearch: runSearch,
  component: runPage,
});
const runArtifactRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: `${runPath}/artifacts/$`,
  validateSearch: runSearch,
  component: runPage,
});

const compareRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/compare-runs",
  validateSearch: (s: Record<string, unknown>) => ({
    ...runSearch(s),
    runs: texts(s.runs) ?? [],
    experiments: texts(s.experiments) ?? [],
    all: truth(s.all) || undefined,
  }),
  component: lazyRouteComponent(() => import("./pages/withCharts"), "ComparePage"),
});

const metricRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/metric",
  validateSearch: (s: Record<string, unknown>) => ({
    ...runSearch(s),
    runs: texts(s.runs) ?? [],
    experiments: texts(s.experiments),
    metric: text(s.metric) ?? "",
  }),
  component: lazyRouteComponent(() => import("./pages/withCharts"), "MetricPage"),
});

/** MLflow's link to a comparison: the versions, with the runs that made them, as one object. */
const compareVersionsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/compare-model-versions",
  validateSearch: (s: Record<string, unknown>) => ({
    name: text(s.name) ?? "",
    runs:
      s.runs && typeof s.runs === "object" && !Array.isArray(s.runs)
        ? (s.runs as Record<string, string>)
        : {},
    all: truth(s.all) || undefined,
  }),
  component: lazyRouteComponent(() => import("./pages/withCharts"), "CompareVersionsPage"),
});

const modelsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/models",
  validateSearch: (s: Record<string, unknown>): { q?: string } => ({ q: text(s.q) }),
  component: ModelsPage,
});
const modelRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/models/$name",
  component: ModelPage,
});
const versionRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/models/$name/versions/$version",
  component: VersionPage,
});

const routeTree = rootRoute.addChildren([
  homeRoute,
  experimentsRoute,
  experimentRoute,
  experimentRunsRoute,
  runRoute,
  runMetricsRoute,
  runSystemRoute,
  runArtifactsRoute,
  runArtifactRoute,
  compareRoute,
  compareVersionsRoute,
  metricRoute,
  modelsRoute,
  modelRoute,
  versionRoute,
]);

export function makeRouter(history: RouterHistory = createHashHistory()) {
  return createRouter({ routeTree, history, defaultPreload: "intent", scrollRestoration: true });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
