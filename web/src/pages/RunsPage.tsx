import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { RowSelectionState } from "@tanstack/react-table";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { useExperimentChange, useRunLifecycle } from "../api/changes";
import { ApiError } from "../api/client";
import {
  experimentQuery,
  newestRunsQuery,
  type RunSearch,
  runCountQuery,
  runsByIdQuery,
  runsQuery,
} from "../api/queries";
import type { Run } from "../api/types.gen";
import {
  defaultColumns,
  exampleFilter,
  filledColumns,
  orderClause,
  orderColumn,
} from "../lib/columns";
import { plural } from "../lib/format";
import { missingParents, nest, withNewest } from "../lib/tree";
import type { RunsSearch } from "../router";
import { ColumnChooser } from "../ui/ColumnChooser";
import { DiskUsage } from "../ui/DiskUsage";
import { Editable } from "../ui/Editable";
import { FilterBox } from "../ui/FilterBox";
import { GettingStarted } from "../ui/GettingStarted";
import { PageHead } from "../ui/Page";
import { RunTable } from "../ui/RunTable";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { Toolbar } from "../ui/Toolbar";
import { ViewMenu } from "../ui/ViewMenu";
import css from "./RunsPage.module.css";

const RunCharts = lazy(() => import("./withCharts").then((m) => ({ default: m.RunCharts })));

const noRuns: Run[] = [];
const noSelection: RowSelectionState = {};

/** The last value that was there, while the next one is being fetched or has failed. */
function useLast<T>(value: T | undefined, key: string): T | undefined {
  const held = useRef<{ key: string; value: T } | undefined>(undefined);
  useEffect(() => {
    if (value !== undefined) held.current = { key, value };
  }, [value, key]);
  return value ?? (held.current?.key === key ? held.current.value : undefined);
}

/** The runs of an experiment. All of its state is in the URL, but for the selection. */
export function RunsPage() {
  const { experimentId } = useParams({ strict: false }) as { experimentId: string };
  const search = useSearch({ strict: false }) as RunsSearch;
  const navigate = useNavigate();
  const [selection, setSelection] = useState(noSelection);
  const [renaming, setRenaming] = useState(0);
  const [measuring, setMeasuring] = useState(false);
  const lifecycle = useRunLifecycle();
  const ofExperiment = useExperimentChange();

  const set = (change: RunsSearch, replace = false) =>
    navigate({
      to: "/experiments/$experimentId",
      params: { experimentId },
      search: { ...search, ...change },
      replace,
    });

  const sort = search.orderByKey
    ? { id: orderColumn(search.orderByKey), ascending: search.orderByAsc ?? false }
    : { id: "attributes.start_time", ascending: false };
  const filter = search.searchFilter ?? "";
  const charts = search.compareRunsMode === "CHART";
  const deleted = search.lifecycleFilter?.toLowerCase() === "deleted";

  const experiment = useQuery(experimentQuery(experimentId));
  const asked: RunSearch = {
    experimentId,
    filter,
    orderBy: search.orderByKey ? orderClause(sort.id, sort.ascending) : "",
    view: deleted ? "DELETED_ONLY" : "ACTIVE_ONLY",
  };
  const query = useInfiniteQuery({
    ...runsQuery(asked),
    // While one page holds all runs, a new one appears by itself.
    refetchInterval: ({ state }) => (state.data?.pages.length === 1 ? 2000 : false),
  });
  const data = useLast(query.data, experimentId);

  // Beyond one page only the beginning is looked at again: a new run stands there, or one that still changes.
  const loadedAt = query.dataUpdatedAt;
  const newest = useQuery({
    ...newestRunsQuery(asked),
    enabled: (query.data?.pages.length ?? 0) > 1,
    // What was just loaded is new enough to begin with.
    initialData: noRuns,
    initialDataUpdatedAt: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: 2000,
  });
  const fresh = newest.dataUpdatedAt > loadedAt ? newest.data : undefined;
  const runs = useMemo(() => {
    const loaded = data?.pages.flatMap((page) => page.runs ?? noRuns) ?? noRuns;
    return fresh ? withNewest(fresh, loaded) : loaded;
  }, [data, fresh]);
  const first = data?.pages[0]?.runs ?? noRuns;
  const preset = useMemo(() => defaultColumns(first), [first]);
  const columns = search.columns ?? preset;
  const filled = useMemo(() => filledColumns(runs, columns), [runs, columns]);
  const example = useMemo(() => exampleFilter(first, columns), [first, columns]);

  const absent = useMemo(() => (search.flat ? [] : missingParents(runs)), [runs, search.flat]);
  const parents = useQuery(runsByIdQuery([experimentId], absent));
  const rows = useMemo(
    () =>
      search.flat
        ? runs.map((run) => ({ run, children: [], guest: false }))
        : nest(runs, parents.data),
    [runs, parents.data, search.flat],
  );

  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = query;
  // What has come is all there is, or else the server counts.
  const count = useQuery({
    ...runCountQuery(asked),
    enabled: hasNextPage && !query.isPlaceholderData,
  });
  const total = hasNextPage ? count.data : data && runs.length;
  const chosen = Object.keys(selection).filter((id) => selection[id]);
  const moveChosen = () => {
    if (chosen.length === 0) return;
    setSelection(noSelection);
    if (deleted) lifecycle.restore(chosen);
    else lifecycle.remove(chosen);
  };
  const filterError =
    query.error instanceof ApiError && query.error.status === 400 ? query.error : undefined;
  const waiting = !data || (absent.length > 0 && parents.isLoading);
  const name = experiment.data?.name ?? "";

  if (experiment.error && !experiment.data)
    return <ErrorState error={experiment.error} retry={experiment.refetch} />;

  return (
    <>
      <PageHead
        crumbs={[{ label: "Experiments", link: { to: "/experiments" } }]}
        title={
          experiment.data ? (
            <Editable
              key={experimentId}
              value={name}
              label="name"
              required
              begin={renaming}
              onSave={(next) => experiment.data && ofExperiment.rename(experiment.data, next)}
            />
          ) : null
        }
        name={name}
      >
        <span className={`muted num ${css.id}`}>ID {experimentId}</span>
        <span className="muted truncate" style={{ flex: 1, minWidth: 0 }}>
          {experiment.data?.tags?.find((t) => t.key === "mlflow.note.content")?.value}
        </span>
      </PageHead>
      <Toolbar>
        <FilterBox
          value={filter}
          onCommit={(text) => set({ searchFilter: text || undefined })}
          error={filterError?.message}
          busy={query.isPlaceholderData || query.isLoading}
          example={example}
        />
        <ViewMenu
          deleted={deleted}
          flat={search.flat ?? false}
          onDeleted={(on) => set({ lifecycleFilter: on ? "Deleted" : undefined })}
          onFlat={(on) => set({ flat: on || undefined })}
          charts={charts}
          onCharts={(on) => set({ compareRunsMode: on ? "CHART" : undefined })}
          onRename={() => setRenaming(renaming + 1)}
          onUsage={() => setMeasuring(true)}
          gone={experiment.data?.lifecycle_stage === "deleted"}
          onDelete={() => experiment.data && ofExperiment.remove(experiment.data)}
          onRestore={() => experiment.data && ofExperiment.restore(experiment.data)}
        />
        <ColumnChooser
          runs={runs}
          chosen={columns}
          changed={search.columns !== undefined}
          onChange={(next) => set({ columns: next }, true)}
        />
        <Button
          size="xs"
          variant="default"
          data-testid="compare"
          disabled={chosen.length < 2}
          onClick={() =>
            navigate({
              to: "/compare-runs",
              search: { runs: chosen, experiments: [experimentId], all: undefined },
            })
          }
        >
          Compare{chosen.length > 1 ? ` ${chosen.length}` : ""}
        </Button>
        {chosen.length > 0 ? (
          <Button size="xs" variant="default" data-testid="lifecycle" onClick={moveChosen}>
            {deleted ? "Restore" : "Delete"}
          </Button>
        ) : null}
        <span className="muted num" style={{ marginLeft: "auto" }} aria-live="polite">
          {total === undefined ? "" : plural(total, "run")}
        </span>
      </Toolbar>
      {query.error && !data && !filterError ? (
        <ErrorState error={query.error} retry={query.refetch} />
      ) : waiting && !filterError ? (
        <Loading rows={14} />
      ) : runs.length === 0 ? (
        filter || deleted ? (
          <EmptyState
            title={
              filterError
                ? "This filter cannot be read"
                : filter
                  ? "No run matches the filter"
                  : "No deleted runs"
            }
          >
            {filter ? (
              <Link
                to="/experiments/$experimentId"
                params={{ experimentId }}
                search={{ ...search, searchFilter: undefined }}
              >
                Clear the filter
              </Link>
            ) : null}
          </EmptyState>
        ) : (
          <GettingStarted experiment={name} />
        )
      ) : charts ? (
        <Suspense fallback={<Loading />}>
          <RunCharts
            runs={runs}
            chosen={chosen}
            view={search.chart ?? {}}
            onView={(change) => set({ chart: { ...search.chart, ...change } }, true)}
          />
        </Suspense>
      ) : (
        <RunTable
          rows={rows}
          total={search.flat ? total : undefined}
          sample={first}
          columns={filled}
          nested={!search.flat}
          sort={sort}
          onSort={(id) =>
            set({
              orderByKey: id,
              orderByAsc: sort.id === id ? !sort.ascending : false,
            })
          }
          selection={selection}
          onSelection={setSelection}
          onDelete={deleted ? undefined : moveChosen}
          onOpen={(run) =>
            navigate({
              to: "/experiments/$experimentId/runs/$runId",
              params: { experimentId: run.info.experiment_id, runId: run.info.run_id },
            })
          }
          onEnd={() => {
            if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) fetchNextPage();
          }}
        />
      )}
      <DiskUsage
        experimentId={experimentId}
        opened={measuring}
        onClose={() => setMeasuring(false)}
      />
    </>
  );
}
