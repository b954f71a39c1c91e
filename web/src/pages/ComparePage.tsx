import { Switch } from "@mantine/core";
import { useViewportSize } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { experimentQuery, runsByIdQuery } from "../api/queries";
import type { Run } from "../api/types.gen";
import { type CompareRow, compareRuns } from "../lib/compare";
import { decimals, formatNumber, plural } from "../lib/format";
import type { RunSearch } from "../router";
import { ChartPanel } from "../ui/ChartPanel";
import { Grid, type GridColumn } from "../ui/Grid";
import { PageHead, Section } from "../ui/Page";
import { Num } from "../ui/RunTable";
import { Status } from "../ui/Status";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { Toolbar } from "../ui/Toolbar";
import css from "./ComparePage.module.css";
import { firstCurve } from "./run/RunMetrics";

const kindNames = { params: "parameter", metrics: "metric", tags: "tag" };

function Value({ row, i }: { row: CompareRow; i: number }) {
  const value = row.values[i];
  // The mark says by shape, too, which cells are not as the first run's.
  const changed = i > 0 && !Object.is(value, row.values[0]);
  const finite = row.values.filter((v) => typeof v === "number");
  const places = Math.min(6, Math.max(0, ...finite.map((v) => decimals(formatNumber(v)))));
  return (
    <span className={css.value} data-testid="compare-cell" data-changed={changed || undefined}>
      {value === undefined ? (
        <span className="muted">–</span>
      ) : typeof value === "number" ? (
        <Num value={value} places={places} />
      ) : (
        <span className="truncate" title={value}>
          {value}
        </span>
      )}
    </span>
  );
}

const nameWidth = 220;

/** Columns as wide as the page has room for; many runs keep to what a number and a short name need. */
export function columnsFor(
  runs: Run[],
  page: number,
  titles?: ReactNode[],
): GridColumn<CompareRow>[] {
  const share = Math.floor((page - nameWidth - 40) / Math.max(1, runs.length));
  const width = Math.max(140, Math.min(share, 260));
  return [
    {
      id: "key",
      header: "Name",
      width: nameWidth,
      cell: (row) => (
        <>
          <span className="truncate" style={{ fontWeight: 500 }} title={row.key}>
            {row.key}
          </span>
          <span className={css.kind}>{kindNames[row.kind]}</span>
        </>
      ),
    },
    ...runs.map(
      (run, i): GridColumn<CompareRow> => ({
        id: `${i}`,
        header: (
          <span className={css.run}>
            {titles ? titles[i] : <Status status={run.info.status} />}
            <Link
              to="/experiments/$experimentId/runs/$runId"
              params={{ experimentId: run.info.experiment_id, runId: run.info.run_id }}
              className="truncate"
            >
              {run.info.run_name || run.info.run_id}
            </Link>
          </span>
        ),
        title: run.info.run_name,
        width,
        right: true,
        cell: (row) => <Value row={row} i={i} />,
      }),
    ),
    { id: "rest", header: "", width: 1, grow: true, cell: () => null },
  ];
}

/** Chosen runs side by side; what is the same in all of them is left out until it is asked for. */
export function ComparePage() {
  const search = useSearch({ from: "/compare-runs" });
  const { runs: ids, experiments, all, ...view } = search;
  const navigate = useNavigate({ from: "/compare-runs" });
  const setView = (change: RunSearch) =>
    navigate({ search: (old) => ({ ...old, ...change }), replace: true });
  const experimentId = experiments[0] ?? "0";
  const experiment = useQuery(experimentQuery(experimentId));
  const { data, error, refetch } = useQuery(runsByIdQuery(experiments, ids));
  const runs = useMemo(() => {
    const found = new Map((data ?? []).map((run) => [run.info.run_id, run]));
    return ids.flatMap((id) => found.get(id) ?? []);
  }, [data, ids]);
  const rows = useMemo(() => compareRuns(runs), [runs]);
  const shown = useMemo(() => (all ? rows : rows.filter((row) => row.differs)), [rows, all]);
  const { width } = useViewportSize();
  const columns = useMemo(() => columnsFor(runs, width), [runs, width]);
  const metric = useMemo(
    () => view.metric ?? firstCurve(runs.flatMap((run) => run.data.metrics ?? []))?.key,
    [view.metric, runs],
  );
  const lines = useMemo(
    () =>
      runs
        .slice(0, 100)
        .map(({ info }) => ({ id: info.run_id, label: info.run_name || info.run_id })),
    [runs],
  );
  return (
    <>
      <PageHead
        crumbs={[
          { label: "Experiments", link: { to: "/experiments" } },
          {
            label: experiment.data?.name ?? experimentId,
            link: { to: "/experiments/$experimentId", params: { experimentId } },
          },
        ]}
        title={`Compare ${plural(ids.length, "run")}`}
        name="Compare runs"
      />
      <Toolbar>
        <Switch
          size="xs"
          label="Differences only"
          checked={!all}
          onChange={(event) => {
            const every = !event.currentTarget.checked || undefined;
            navigate({ search: (old) => ({ ...old, all: every }), replace: true });
          }}
        />
        <span className="muted num" style={{ marginLeft: "auto" }}>
          {data ? `${shown.length} of ${plural(rows.length, "row")}` : ""}
        </span>
      </Toolbar>
      {error && !data ? (
        <ErrorState error={error} retry={refetch} />
      ) : ids.length === 0 ? (
        <EmptyState title="No runs are chosen" />
      ) : !data ? (
        <Loading />
      ) : runs.length === 0 ? (
        <EmptyState title="None of these runs exists" />
      ) : shown.length === 0 ? (
        <EmptyState title="These runs do not differ" />
      ) : (
        <Grid
          label="Compared runs"
          rows={shown}
          columns={columns}
          rowId={(row) => row.id}
          onActive={(row) => {
            if (row.kind === "metrics")
              setView({ metric: row.key, from: undefined, to: undefined });
          }}
        />
      )}
      {metric ? (
        <div className={css.chart}>
          <Section title={metric}>
            <ChartPanel metric={metric} runs={lines} view={view} onView={setView} />
          </Section>
        </div>
      ) : null}
    </>
  );
}
