import { useMemo, useState } from "react";
import type { Metric } from "../../api/types.gen";
import { formatCount, toNumber } from "../../lib/format";
import { Grid, type GridColumn } from "../../ui/Grid";
import { Section } from "../../ui/Page";
import { Num } from "../../ui/RunTable";
import { SearchBox } from "../../ui/Toolbar";

interface MetricListProps {
  title: string;
  metrics: Metric[];
  chosen?: string;
  onChoose: (key: string) => void;
}

const columns: GridColumn<Metric>[] = [
  {
    id: "key",
    header: "Metric",
    width: 130,
    grow: true,
    cell: (m) => (
      <span className="truncate" title={m.key}>
        {m.key}
      </span>
    ),
  },
  {
    id: "value",
    header: "Last value",
    width: 130,
    right: true,
    cell: (m) => <Num value={toNumber(m.value)} />,
  },
  {
    id: "step",
    header: "At step",
    width: 84,
    right: true,
    cell: (m) => <span className="muted">{formatCount(m.step)}</span>,
  },
];

const byKey = new Intl.Collator("en", { numeric: true }).compare;

/** The metrics of a run with their latest values; moving through the list moves the chart beside it. */
export function MetricList({ title, metrics, chosen, onChoose }: MetricListProps) {
  const [search, setSearch] = useState("");
  const shown = useMemo(() => {
    const wanted = search.toLowerCase();
    return metrics
      .filter((m) => m.key.toLowerCase().includes(wanted))
      .sort((a, b) => byKey(a.key, b.key));
  }, [metrics, search]);
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
        columns={columns}
        rowId={(m) => m.key}
        rowTestId="metric-row"
        activeId={chosen}
        onActive={(m) => onChoose(m.key)}
      />
    </Section>
  );
}
