import { useMemo, useState } from "react";
import type { Metric, MetricSummary } from "../../api/types.gen";
import { formatCount, toNumber } from "../../lib/format";
import { Grid, type GridColumn } from "../../ui/Grid";
import { Section } from "../../ui/Page";
import { Num } from "../../ui/RunTable";
import { SearchBox } from "../../ui/Toolbar";

interface MetricListProps {
  title: string;
  metrics: Metric[];
  /** The extremes, when they have come. */
  summaries?: MetricSummary[];
  /** The list is of several runs: it names metrics and their last steps only. */
  valueless?: boolean;
  chosen?: string;
  onChoose: (key: string) => void;
}

interface Row {
  metric: Metric;
  summary?: MetricSummary;
}

const extreme = (id: "min" | "max", header: string): GridColumn<Row> => ({
  id,
  header,
  width: 82,
  right: true,
  cell: ({ summary }) => (summary ? <Num value={toNumber(summary[id])} /> : null),
});

const columns: GridColumn<Row>[] = [
  {
    id: "key",
    header: "Metric",
    width: 120,
    grow: true,
    cell: ({ metric: { key } }) => (
      <span className="truncate" title={key}>
        {key}
      </span>
    ),
  },
  {
    id: "value",
    header: "Last",
    width: 86,
    right: true,
    cell: ({ metric }) => <Num value={toNumber(metric.value)} />,
  },
  extreme("min", "Min"),
  extreme("max", "Max"),
  {
    id: "step",
    header: "At step",
    width: 74,
    right: true,
    cell: ({ metric }) => <span className="muted">{formatCount(metric.step)}</span>,
  },
];

const names = columns.filter(({ id }) => id === "key" || id === "step");

const byKey = new Intl.Collator("en", { numeric: true }).compare;

/** The metrics of a run with their latest, least and greatest values; moving through the list moves the chart beside it. */
export function MetricList(props: MetricListProps) {
  const { title, metrics, summaries, chosen, onChoose } = props;
  const [search, setSearch] = useState("");
  const shown = useMemo((): Row[] => {
    const wanted = search.toLowerCase();
    const known = new Map(summaries?.map((s) => [s.key, s]));
    return metrics
      .filter((m) => m.key.toLowerCase().includes(wanted))
      .sort((a, b) => byKey(a.key, b.key))
      .map((metric) => ({ metric, summary: known.get(metric.key) }));
  }, [metrics, summaries, search]);
  return (
    <Section
      title={title}
      aside={
        metrics.length > 12 ? (
          <SearchBox label="Find a metric" value={search} onChange={setSearch} />
        ) : null
      }
    >
      <Grid
        label={title}
        rows={shown}
        columns={props.valueless ? names : columns}
        rowId={(row) => row.metric.key}
        rowTestId="metric-row"
        activeId={chosen}
        onActive={(row) => onChoose(row.metric.key)}
      />
    </Section>
  );
}
