import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { linesOf, type XMode } from "../lib/series";
import { get, getWeir, post, postWeir } from "./client";
import type {
  About,
  ChartResponse,
  CountRunsResponse,
  Experiment,
  ExperimentResponse,
  ListArtifactsResponse,
  ModelVersion,
  ModelVersionsResponse,
  OverviewResponse,
  RegisteredModel,
  RegisteredModelResponse,
  Run,
  RunOverviewResponse,
  RunResponse,
  SearchExperimentsResponse,
  SearchRegisteredModelsResponse,
  SearchRunsRequest,
  SearchRunsResponse,
  UsageResponse,
  ViewType,
} from "./types.gen";

/** Reads pages until there are no more. */
async function all<Page extends { next_page_token?: string }, Item>(
  page: (token: string | undefined) => Promise<Page>,
  items: (page: Page) => Item[] | undefined,
): Promise<Item[]> {
  const found: Item[] = [];
  let token: string | undefined;
  do {
    const answer = await page(token);
    found.push(...(items(answer) ?? []));
    token = answer.next_page_token;
  } while (token);
  return found;
}

export const experimentsQuery = (view: ViewType) =>
  queryOptions({
    queryKey: ["experiments", view],
    queryFn: ({ signal }) =>
      all<SearchExperimentsResponse, Experiment>(
        (page_token) =>
          post("experiments/search", { max_results: 1000, view_type: view, page_token }, signal),
        (page) => page.experiments,
      ),
  });

/** How many runs each experiment has, how many of them failed, and when the last one began; by experiment id. */
export const overviewQuery = (view_type: ViewType) =>
  queryOptions({
    queryKey: ["overview", view_type],
    queryFn: async ({ signal }) => {
      const { experiments } = await getWeir<OverviewResponse>(
        "experiments/overview",
        { view_type },
        signal,
      );
      return new Map(experiments.map((one) => [one.experiment_id, one]));
    },
  });

export const experimentQuery = (id: string) =>
  queryOptions({
    queryKey: ["experiment", id],
    queryFn: async ({ signal }) =>
      (await get<ExperimentResponse>("experiments/get", { experiment_id: id }, signal)).experiment,
    staleTime: 60_000,
  });

/** What an experiment takes of the disk. The server adds it up anew each time, so it is asked when somebody looks. */
export const usageQuery = (experimentId: string) =>
  queryOptions({
    queryKey: ["usage", experimentId],
    queryFn: async ({ signal }) => {
      const query = { experiment_id: experimentId };
      return (await getWeir<UsageResponse>("experiments/usage", query, signal)).experiments[0];
    },
    staleTime: 60_000,
  });

export interface RunSearch {
  experimentId: string;
  filter: string;
  orderBy: string;
  view: ViewType;
}

/** How many runs a request brings: first what paints soon, then more at once for a table that is being scrolled. */
const runPageSizes = [60, 300, 1000];

export const runsQuery = (search: RunSearch) =>
  infiniteQueryOptions({
    queryKey: ["runs", search],
    queryFn: async ({ pageParam: { page, token }, signal }) => {
      const body: SearchRunsRequest = {
        experiment_ids: [search.experimentId],
        filter: search.filter,
        run_view_type: search.view,
        max_results: runPageSizes[page] ?? 1000,
        order_by: search.orderBy ? [search.orderBy] : [],
        page_token: token,
      };
      return await post<SearchRunsResponse>("runs/search", body, signal);
    },
    initialPageParam: { page: 0, token: "" },
    getNextPageParam: ({ next_page_token: token }, pages) =>
      token ? { page: pages.length, token } : undefined,
    // A new filter or order keeps the old rows on the screen until the new ones are there.
    placeholderData: keepPreviousData,
  });

/** The first runs of a search as they are now, for a table of many pages that is not read anew for one run. */
export const newestRunsQuery = (search: RunSearch) =>
  queryOptions({
    queryKey: ["runs", "newest", search],
    queryFn: async ({ signal }): Promise<Run[]> => {
      const body: SearchRunsRequest = {
        experiment_ids: [search.experimentId],
        filter: search.filter,
        run_view_type: search.view,
        max_results: runPageSizes[0],
        order_by: search.orderBy ? [search.orderBy] : [],
      };
      return (await post<SearchRunsResponse>("runs/search", body, signal)).runs ?? [];
    },
  });

/** How many runs a search finds in all, however few of them have come. */
export const runCountQuery = (search: RunSearch) =>
  queryOptions({
    queryKey: ["run-count", search.experimentId, search.filter, search.view],
    queryFn: async ({ signal }) => {
      const body = {
        experiment_ids: [search.experimentId],
        filter: search.filter,
        run_view_type: search.view,
      };
      return (await postWeir<CountRunsResponse>("runs/count", body, signal)).runs;
    },
    placeholderData: keepPreviousData,
  });

/** Runs by id, among active and deleted ones. */
export const runsByIdQuery = (experimentIds: readonly string[], ids: readonly string[]) =>
  queryOptions({
    queryKey: ["runs-by-id", experimentIds, ids],
    enabled: ids.length > 0,
    queryFn: async ({ signal }): Promise<Run[]> => {
      const body: SearchRunsRequest = {
        experiment_ids: [...experimentIds],
        filter: `run_id IN (${ids.map((id) => `'${id}'`).join(",")})`,
        run_view_type: "ALL",
        max_results: ids.length,
      };
      return (await post<SearchRunsResponse>("runs/search", body, signal)).runs ?? [];
    },
    staleTime: 30_000,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: async ({ signal }) => (await get<RunResponse>("runs/get", { run_id: id }, signal)).run,
    // A run that is still going is looked at again; an ended one does not change by itself.
    refetchInterval: (query) => (query.state.data?.info.status === "RUNNING" ? 1500 : false),
  });

/** A run's experiment, parent, children and the extremes of its metrics. */
export const runOverviewQuery = (id: string, running: boolean) =>
  queryOptions({
    queryKey: ["run-overview", id],
    queryFn: ({ signal }) => getWeir<RunOverviewResponse>("runs/overview", { run_id: id }, signal),
    refetchInterval: running ? 1500 : false,
  });

export const artifactsQuery = (runId: string, path: string) =>
  queryOptions({
    queryKey: ["artifacts", runId, path],
    queryFn: async ({ signal }) =>
      await get<ListArtifactsResponse>("artifacts/list", { run_id: runId, path }, signal),
    staleTime: 10_000,
  });

/** The files of a logged model, at its root. */
export const loggedModelFilesQuery = (modelId: string) =>
  queryOptions({
    queryKey: ["logged-model-files", modelId],
    queryFn: async ({ signal }) =>
      await get<ListArtifactsResponse>(
        `logged-models/${modelId}/artifacts/directories`,
        {},
        signal,
      ),
    staleTime: 10_000,
  });

export const modelsQuery = () =>
  queryOptions({
    queryKey: ["models"],
    queryFn: ({ signal }) =>
      all<SearchRegisteredModelsResponse, RegisteredModel>(
        (page_token) => get("registered-models/search", { max_results: 1000, page_token }, signal),
        (page) => page.registered_models,
      ),
  });

export const modelQuery = (name: string) =>
  queryOptions({
    queryKey: ["model", name],
    queryFn: async ({ signal }) =>
      (await get<RegisteredModelResponse>("registered-models/get", { name }, signal))
        .registered_model,
  });

/** A string literal of the search grammar, which knows no escapes: the quote that the text lacks goes around it. */
const literal = (text: string) => (text.includes("'") ? `"${text}"` : `'${text}'`);

export const versionsQuery = (by: { name: string } | { run_id: string }) => {
  const [field, value] = Object.entries(by)[0] as [string, string];
  return queryOptions({
    queryKey: ["versions", field, value],
    queryFn: async ({ signal }): Promise<ModelVersion[]> => {
      const query = { filter: `${field} = ${literal(value)}`, max_results: 10_000 };
      const found =
        (await get<ModelVersionsResponse>("model-versions/search", query, signal)).model_versions ??
        [];
      return found.sort((a, b) => Number(b.version) - Number(a.version));
    },
  });
};

/** How many columns of a curve a chart asks for: about one for each pixel of a usual screen. */
const chartBuckets = 1000;

/** One metric of some runs; the range is of the x axis, in whole steps or in milliseconds since 1970. */
export const chartQuery = (
  metric: string,
  runs: readonly { id: string; label: string }[],
  mode: XMode,
  range?: readonly [number, number],
) =>
  queryOptions({
    queryKey: ["chart", metric, runs, mode, range],
    enabled: runs.length > 0 && metric !== "",
    queryFn: async ({ signal }) => {
      const query = {
        run_id: runs.map((run) => run.id),
        metric_key: metric,
        buckets: chartBuckets,
        axis: mode === "step" ? "step" : "time",
        from: range?.[0],
        to: range?.[1],
      };
      return linesOf(await getWeir<ChartResponse>("metrics/chart", query, signal), runs, mode);
    },
  });

/** Who answers: the server's own version, and the MLflow version whose API it speaks. */
export const serverQuery = () =>
  queryOptions({
    queryKey: ["server"],
    queryFn: ({ signal }) => getWeir<About>("server", {}, signal),
    staleTime: 60_000,
  });
