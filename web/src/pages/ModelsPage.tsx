import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { modelsQuery } from "../api/queries";
import type { RegisteredModel } from "../api/types.gen";
import { plural } from "../lib/format";
import { Grid, type GridColumn } from "../ui/Grid";
import { Ago, Chip, PageHead, useNow } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { SearchBox, Toolbar } from "../ui/Toolbar";

const newest = (model: RegisteredModel) =>
  Math.max(0, ...(model.latest_versions ?? []).map((v) => Number(v.version)));

function columnsFor(now: number): GridColumn<RegisteredModel>[] {
  return [
    {
      id: "name",
      header: "Name",
      width: 220,
      grow: true,
      cell: (m) => (
        <>
          <Link
            to="/models/$name"
            params={{ name: m.name }}
            className="truncate"
            style={{ fontWeight: 550 }}
            title={m.name}
            tabIndex={-1}
          >
            {m.name}
          </Link>
          <span className="muted truncate">{m.description}</span>
        </>
      ),
    },
    {
      id: "latest",
      header: "Latest",
      width: 76,
      right: true,
      cell: (m) => (newest(m) ? `v${newest(m)}` : <span className="muted">–</span>),
    },
    {
      id: "aliases",
      header: "Aliases",
      width: 280,
      cell: (m) =>
        m.aliases?.map((a) => (
          <Chip key={a.alias} tone="accent">
            @{a.alias} → v{a.version}
          </Chip>
        )),
    },
    {
      id: "changed",
      header: "Changed",
      width: 120,
      right: true,
      cell: (m) => <Ago time={m.last_updated_timestamp} now={now} />,
    },
  ];
}

/** All registered models. */
export function ModelsPage() {
  const search = useSearch({ from: "/models" });
  const navigate = useNavigate({ from: "/models" });
  const { data, error, refetch } = useQuery(modelsQuery());
  const now = useNow();
  const columns = useMemo(() => columnsFor(now), [now]);
  const wanted = (search.q ?? "").toLowerCase();
  const shown = useMemo(
    () =>
      (data ?? [])
        .filter((m) => m.name.toLowerCase().includes(wanted))
        .sort((a, b) => b.last_updated_timestamp - a.last_updated_timestamp),
    [data, wanted],
  );
  return (
    <>
      <PageHead title="Registered models" name="Models">
        <span className="muted num">{data ? plural(shown.length, "model") : ""}</span>
      </PageHead>
      <Toolbar>
        <SearchBox
          label="Find a model by name"
          value={search.q ?? ""}
          onChange={(q) => navigate({ search: { q: q || undefined }, replace: true })}
        />
      </Toolbar>
      {error && !data ? (
        <ErrorState error={error} retry={refetch} />
      ) : !data ? (
        <Loading />
      ) : shown.length === 0 ? (
        <EmptyState title={wanted ? "No model has this name" : "No registered models"}>
          {wanted ? null : (
            <>
              <p>A registered model keeps the versions of a model under one name.</p>
              <pre className="mono">{`mlflow_log_model(model, "model", registered_model_name = "price")`}</pre>
            </>
          )}
        </EmptyState>
      ) : (
        <Grid
          label="Registered models"
          rows={shown}
          columns={columns}
          rowId={(m) => m.name}
          rowHeight={34}
          rowTestId="model-row"
          onOpen={(m) => navigate({ to: "/models/$name", params: { name: m.name } })}
        />
      )}
    </>
  );
}
