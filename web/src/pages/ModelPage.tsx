import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo } from "react";
import { modelQuery, versionsQuery } from "../api/queries";
import type { ModelVersion, RegisteredModel } from "../api/types.gen";
import { plural } from "../lib/format";
import { aliasesOf } from "../lib/models";
import { Grid, type GridColumn } from "../ui/Grid";
import { Ago, Chip, Copy, PageHead, useNow } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { Toolbar } from "../ui/Toolbar";

function columnsFor(model: RegisteredModel | undefined, now: number): GridColumn<ModelVersion>[] {
  return [
    {
      id: "version",
      header: "Version",
      width: 90,
      cell: (v) => (
        <Link
          to="/models/$name/versions/$version"
          params={{ name: v.name, version: v.version }}
          style={{ fontWeight: 550 }}
          tabIndex={-1}
        >
          v{v.version}
        </Link>
      ),
    },
    {
      id: "aliases",
      header: "Aliases",
      width: 200,
      cell: (v) =>
        aliasesOf(model, v).map((alias) => (
          <Chip key={alias} tone="accent">
            @{alias}
          </Chip>
        )),
    },
    {
      id: "stage",
      header: "Stage",
      width: 110,
      cell: (v) =>
        v.current_stage && v.current_stage !== "None" ? (
          v.current_stage
        ) : (
          <span className="muted">–</span>
        ),
    },
    {
      id: "status",
      header: "Status",
      width: 110,
      cell: (v) =>
        v.status === "READY" ? (
          "Ready"
        ) : (
          <span style={{ color: "var(--bad)" }} title={v.status_message}>
            {v.status.toLowerCase().replaceAll("_", " ")}
          </span>
        ),
    },
    {
      id: "description",
      header: "Description",
      width: 180,
      grow: true,
      cell: (v) => <span className="truncate">{v.description}</span>,
    },
    {
      id: "run",
      header: "Run",
      width: 110,
      cell: (v) => (v.run_id ? <span className="mono muted">{v.run_id.slice(0, 8)}</span> : null),
    },
    {
      id: "created",
      header: "Created",
      width: 120,
      right: true,
      cell: (v) => <Ago time={v.creation_timestamp} now={now} />,
    },
  ];
}

/** A registered model: its aliases and all of its versions, newest first. */
export function ModelPage() {
  const { name } = useParams({ from: "/models/$name" });
  const navigate = useNavigate();
  const { data: model, error, refetch } = useQuery(modelQuery(name));
  const versions = useQuery(versionsQuery({ name }));
  const now = useNow();
  const columns = useMemo(() => columnsFor(model, now), [model, now]);
  if (error && !model) return <ErrorState error={error} retry={refetch} />;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Models", link: { to: "/models" } }]}
        title={<span className="truncate">{name}</span>}
        name={name}
      >
        <Copy text={name} label="Copy the model's name" />
        <span className="muted truncate">{model?.description}</span>
      </PageHead>
      <Toolbar>
        <span className="muted num">
          {versions.data ? plural(versions.data.length, "version") : ""}
        </span>
        {model?.tags?.map((tag) => (
          <Chip key={tag.key}>{`${tag.key}: ${tag.value}`}</Chip>
        ))}
      </Toolbar>
      {versions.error && !versions.data ? (
        <ErrorState error={versions.error} retry={versions.refetch} />
      ) : !versions.data || !model ? (
        <Loading />
      ) : versions.data.length === 0 ? (
        <EmptyState title="No versions yet" />
      ) : (
        <Grid
          label={`Versions of ${name}`}
          rows={versions.data}
          columns={columns}
          rowId={(v) => v.version}
          rowHeight={34}
          rowTestId="version-row"
          onOpen={(v) =>
            navigate({
              to: "/models/$name/versions/$version",
              params: { name, version: v.version },
            })
          }
        />
      )}
    </>
  );
}
