import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { DatasetInput, KeyValue, Run, RunOverviewResponse } from "../../api/types.gen";
import { modelPathsOf } from "../../lib/edit";
import { formatCount } from "../../lib/format";
import { loadModelSnippets } from "../../lib/snippets";
import type { RunSearch } from "../../router";
import { ChartPanel } from "../../ui/ChartPanel";
import { CodeTabs, serverUrl } from "../../ui/CodeTabs";
import { Grid, type GridColumn } from "../../ui/Grid";
import { Chip, Section } from "../../ui/Page";
import { Status } from "../../ui/Status";
import { SearchBox } from "../../ui/Toolbar";
import { MetricList } from "./MetricList";
import { Note } from "./Note";
import css from "./Run.module.css";
import { firstCurve } from "./RunMetrics";
import { Tags } from "./Tags";

const pairColumns: GridColumn<KeyValue>[] = [
  {
    id: "key",
    header: "Name",
    width: 150,
    grow: true,
    cell: (p) => (
      <span className="truncate" title={p.key}>
        {p.key}
      </span>
    ),
  },
  {
    id: "value",
    header: "Value",
    width: 150,
    grow: true,
    cell: (p) => (
      <span className="truncate num" title={p.value}>
        {p.value}
      </span>
    ),
  },
];

const byKey = new Intl.Collator("en", { numeric: true }).compare;

function Pairs({ title, pairs, none }: { title: string; pairs: KeyValue[]; none: string }) {
  const [search, setSearch] = useState("");
  const shown = useMemo(() => {
    const wanted = search.toLowerCase();
    return pairs
      .filter((p) => `${p.key}\n${p.value}`.toLowerCase().includes(wanted))
      .sort((a, b) => byKey(a.key, b.key));
  }, [pairs, search]);
  return (
    <Section
      title={title}
      aside={
        pairs.length > 12 ? (
          <SearchBox label={`Find in ${title.toLowerCase()}`} value={search} onChange={setSearch} />
        ) : null
      }
    >
      {pairs.length === 0 ? (
        <p className={css.none}>{none}</p>
      ) : (
        <div className={css.listBox} style={{ height: 32 + Math.min(shown.length, 12) * 28 }}>
          <Grid label={title} rows={shown} columns={pairColumns} rowId={(p) => p.key} />
        </div>
      )}
    </Section>
  );
}

function Datasets({ inputs }: { inputs: DatasetInput[] }) {
  return (
    <Section title="Datasets">
      <ul className={css.plain}>
        {inputs.map(({ dataset, tags }) => (
          <li key={`${dataset.name}/${dataset.digest}`}>
            <b>{dataset.name}</b> <span className="mono muted">{dataset.digest}</span>{" "}
            {tags?.map((t) => (
              <Chip key={t.key}>{t.value}</Chip>
            ))}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function NestedRuns(props: { experimentId: string; overview: RunOverviewResponse }) {
  const { children, children_total: total } = props.overview;
  return (
    <Section title="Nested runs" aside={<span className="muted num">{formatCount(total)}</span>}>
      <ul className={`${css.plain} ${css.nested}`}>
        {children.map((child) => (
          <li key={child.run_id}>
            <Status status={child.status} />
            <Link
              to="/experiments/$experimentId/runs/$runId"
              params={{ experimentId: props.experimentId, runId: child.run_id }}
              className="truncate"
            >
              {child.run_name || child.run_id}
            </Link>
          </li>
        ))}
        {total > children.length ? (
          <li className="muted">and {formatCount(total - children.length)} more</li>
        ) : null}
      </ul>
    </Section>
  );
}

const noPairs: KeyValue[] = [];

interface RunOverviewProps {
  run: Run;
  overview?: RunOverviewResponse;
  view: RunSearch;
  onView: (change: RunSearch) => void;
}

/** The first screen of a run: its metrics with a curve beside them, then params, tags, data and note. */
export function RunOverview({ run, overview, view, onView }: RunOverviewProps) {
  const metrics = useMemo(
    () => (run.data.metrics ?? []).filter((m) => !m.key.startsWith("system/")),
    [run],
  );
  const chosen = metrics.find((m) => m.key === view.metric) ?? firstCurve(metrics);
  const label = run.info.run_name || run.info.run_id;
  const runs = useMemo(() => [{ id: run.info.run_id, label }], [run.info.run_id, label]);
  const model = useMemo(() => modelPathsOf(run)[0], [run]);
  const datasets = run.inputs?.dataset_inputs ?? [];

  return (
    <div className={css.overview}>
      {metrics.length > 0 ? (
        <div
          className={css.lead}
          data-alone={!chosen || undefined}
          style={chosen ? undefined : { height: 72 + Math.min(metrics.length, 10) * 28 }}
        >
          <MetricList
            title="Metrics"
            metrics={metrics}
            summaries={overview?.metrics}
            chosen={chosen?.key}
            onChoose={(metric) => onView({ metric, from: undefined, to: undefined })}
          />
          {chosen ? (
            <Section title={chosen.key}>
              <ChartPanel
                metric={chosen.key}
                runs={runs}
                view={view}
                onView={onView}
                live={run.info.status === "RUNNING"}
              />
            </Section>
          ) : null}
        </div>
      ) : null}
      <div className={css.rest}>
        <Pairs
          title="Parameters"
          pairs={run.data.params ?? noPairs}
          none="No parameters were logged."
        />
        <div className={css.stack}>
          {overview && overview.children.length > 0 ? (
            <NestedRuns experimentId={run.info.experiment_id} overview={overview} />
          ) : null}
          {datasets.length > 0 ? <Datasets inputs={datasets} /> : null}
          <Tags run={run} />
          <Note run={run} />
          {model !== undefined ? (
            <CodeTabs
              title="Load its model"
              code={loadModelSnippets(serverUrl(), `runs:/${run.info.run_id}/${model}`)}
            />
          ) : null}
        </div>
      </div>
    </div>
  );
}
