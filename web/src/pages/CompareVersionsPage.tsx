import { Switch } from "@mantine/core";
import { useViewportSize } from "@mantine/hooks";
import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { runQuery, versionsQuery } from "../api/queries";
import type { Run } from "../api/types.gen";
import { compareRuns } from "../lib/compare";
import { plural } from "../lib/format";
import { Grid } from "../ui/Grid";
import { PageHead } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { Toolbar } from "../ui/Toolbar";
import { columnsFor } from "./ComparePage";

/** Versions of a model side by side, by the runs that made them. */
export function CompareVersionsPage() {
  const { name, runs: ids, all } = useSearch({ from: "/compare-model-versions" });
  const navigate = useNavigate({ from: "/compare-model-versions" });
  const versions = useQuery({ ...versionsQuery({ name }), enabled: name !== "" });
  const wanted = useMemo(
    () =>
      Object.keys(ids)
        .sort((a, b) => Number(a) - Number(b))
        .slice(0, 100),
    [ids],
  );
  const answers = useQueries({
    queries: wanted.map((version) => runQuery(ids[version] ?? "")),
    combine: (results) => ({
      runs: results.map((r) => r.data),
      pending: results.some((r) => r.isPending),
      error: results.find((r) => r.error)?.error,
    }),
  });
  const found = useMemo(
    () =>
      wanted.flatMap((version, i) => {
        const run = answers.runs[i];
        return run ? [{ version, run }] : [];
      }),
    [wanted, answers.runs],
  );
  const runs = useMemo((): Run[] => found.map((one) => one.run), [found]);
  const rows = useMemo(() => compareRuns(runs), [runs]);
  const shown = useMemo(() => (all ? rows : rows.filter((row) => row.differs)), [rows, all]);
  const { width } = useViewportSize();
  const columns = useMemo(() => {
    const known = new Map(versions.data?.map((v) => [v.version, v]));
    const titles = found.map(({ version }) => (
      <Link
        key={version}
        to="/models/$name/versions/$version"
        params={{ name, version }}
        title={known
          .get(version)
          ?.aliases?.map((alias) => `@${alias}`)
          .join(" ")}
      >
        v{version}
      </Link>
    ));
    return columnsFor(runs, width, titles);
  }, [runs, width, found, versions.data, name]);
  return (
    <>
      <PageHead
        crumbs={[
          { label: "Models", link: { to: "/models" } },
          ...(name
            ? [{ label: name, link: { to: "/models/$name" as const, params: { name } } }]
            : []),
        ]}
        title={`Compare ${plural(wanted.length, "version")}`}
        name="Compare versions"
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
      </Toolbar>
      {wanted.length === 0 ? (
        <EmptyState title="The link names no version" />
      ) : answers.error && runs.length === 0 ? (
        <ErrorState error={answers.error} />
      ) : answers.pending ? (
        <Loading />
      ) : shown.length === 0 ? (
        <EmptyState title="The runs of these versions do not differ" />
      ) : (
        <Grid label="Compared versions" rows={shown} columns={columns} rowId={(row) => row.id} />
      )}
    </>
  );
}
