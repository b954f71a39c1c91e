import { Button, Modal, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { post } from "../api/client";
import { experimentsQuery, overviewQuery } from "../api/queries";
import type { Experiment, ExperimentOverview, ViewType } from "../api/types.gen";
import { isUserTag } from "../lib/columns";
import { formatCount, plural } from "../lib/format";
import { GettingStarted } from "../ui/GettingStarted";
import { Grid, type GridColumn } from "../ui/Grid";
import { Ago, Chip, PageHead, useNow } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { SearchBox, Toolbar, ViewSelect } from "../ui/Toolbar";
import css from "./ExperimentsPage.module.css";

/** An experiment with what is known of its runs, once that has come. */
interface Listed extends Experiment {
  runs?: ExperimentOverview;
}

const none = <span className="muted">–</span>;

const tagOf = (experiment: Experiment, key: string) =>
  experiment.tags?.find((tag) => tag.key === key)?.value;

function NewExperiment({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const navigate = useNavigate();
  const queries = useQueryClient();
  const create = useMutation({
    mutationFn: () => post<{ experiment_id: string }>("experiments/create", { name: name.trim() }),
    onSuccess: async ({ experiment_id }) => {
      await queries.invalidateQueries({ queryKey: ["experiments"] });
      await navigate({ to: "/experiments/$experimentId", params: { experimentId: experiment_id } });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) create.mutate();
  };
  return (
    <form onSubmit={submit}>
      <TextInput
        label="Name"
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={create.error?.message}
      />
      <Button type="submit" mt="md" size="xs" loading={create.isPending} disabled={!name.trim()}>
        Create
      </Button>
      <Button ml="xs" mt="md" size="xs" variant="default" onClick={close}>
        Cancel
      </Button>
    </form>
  );
}

function columnsFor(now: number, known: boolean): GridColumn<Listed>[] {
  return [
    {
      id: "name",
      header: "Name",
      width: 220,
      grow: true,
      sortable: true,
      cell: (e) => (
        <>
          <Link
            to="/experiments/$experimentId"
            params={{ experimentId: e.experiment_id }}
            className="truncate"
            style={{ fontWeight: 550 }}
            title={e.name}
            tabIndex={-1}
          >
            {e.name}
          </Link>
          <span className="muted truncate">{tagOf(e, "mlflow.note.content")}</span>
        </>
      ),
    },
    {
      id: "tags",
      header: "Tags",
      width: 220,
      cell: (e) =>
        e.tags
          ?.filter((tag) => isUserTag(tag.key))
          .slice(0, 3)
          .map((tag) => <Chip key={tag.key}>{`${tag.key}: ${tag.value}`}</Chip>),
    },
    {
      id: "runs",
      header: "Runs",
      width: 84,
      right: true,
      sortable: true,
      cell: (e) =>
        e.runs ? formatCount(e.runs.runs) : known ? <span className="muted">0</span> : null,
    },
    {
      id: "failed",
      header: "Failed",
      width: 84,
      right: true,
      sortable: true,
      cell: (e) =>
        e.runs?.failed ? (
          <span className={css.failed}>{formatCount(e.runs.failed)}</span>
        ) : known ? (
          none
        ) : null,
    },
    {
      id: "last_run_time",
      header: "Last run",
      width: 112,
      right: true,
      sortable: true,
      cell: (e) => (e.runs ? <Ago time={e.runs.last_run_time} now={now} /> : known ? none : null),
    },
    {
      id: "creation_time",
      header: "Created",
      width: 112,
      right: true,
      sortable: true,
      cell: (e) => <Ago time={e.creation_time} now={now} />,
    },
    {
      id: "experiment_id",
      header: "ID",
      width: 90,
      right: true,
      cell: (e) => <span className="muted num truncate">{e.experiment_id}</span>,
    },
  ];
}

const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

const sortKeys: Record<string, (e: Listed) => number> = {
  // Where nothing ran yet, the experiment itself is the last that happened.
  last_run_time: (e) => e.runs?.last_run_time ?? e.creation_time ?? 0,
  creation_time: (e) => e.creation_time ?? 0,
  runs: (e) => e.runs?.runs ?? 0,
  failed: (e) => e.runs?.failed ?? 0,
};

function sorted(list: Listed[], id: string, ascending: boolean): Listed[] {
  const key = sortKeys[id];
  const compare = (a: Listed, b: Listed) => (key ? key(a) - key(b) : byName(a.name, b.name));
  return [...list].sort((a, b) => (ascending ? compare(a, b) : compare(b, a)));
}

/** All experiments, found by their names as one types. */
export function ExperimentsPage() {
  const search = useSearch({ from: "/experiments" });
  const navigate = useNavigate({ from: "/experiments" });
  const view: ViewType = search.lifecycleFilter === "Deleted" ? "DELETED_ONLY" : "ACTIVE_ONLY";
  const { data, error, refetch } = useQuery(experimentsQuery(view));
  // Where nothing ran yet, the first run is waited for.
  const overview = useQuery({
    ...overviewQuery(view),
    refetchInterval: ({ state }) => (state.data?.size === 0 ? 2000 : 10_000),
  });
  const [sort, setSort] = useState({ id: "last_run_time", ascending: false });
  const [creating, setCreating] = useState(false);
  const now = useNow();
  // Tags stay away where there are none, and after the times where there is little room.
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const tagged = data?.some((e) => e.tags?.some((tag) => isUserTag(tag.key))) ?? false;
  const known = overview.data !== undefined;
  const columns = useMemo(() => {
    const [name, tags, ...rest] = columnsFor(now, known);
    const own = tagged && tags ? [tags] : [];
    return name ? [name, ...(narrow ? [...rest, ...own] : [...own, ...rest])] : [];
  }, [now, known, narrow, tagged]);

  const wanted = (search.q ?? "").toLowerCase();
  const shown = useMemo(() => {
    const found = (data ?? []).filter(
      (e) => !wanted || e.name.toLowerCase().includes(wanted) || e.experiment_id === wanted,
    );
    const listed = found.map((e) => ({ ...e, runs: overview.data?.get(e.experiment_id) }));
    return sorted(listed, sort.id, sort.ascending);
  }, [data, overview.data, wanted, sort]);
  // The order is by the last run, so that the list waits for it rather than jump.
  const waiting = !data || overview.isLoading;
  const firstRun =
    view === "ACTIVE_ONLY" && !wanted && overview.data?.size === 0 && shown.length < 5;

  return (
    <>
      <PageHead title="Experiments" name="Experiments">
        <span className="muted num">{data ? plural(shown.length, "experiment") : ""}</span>
      </PageHead>
      <Toolbar>
        <SearchBox
          label="Find an experiment by name"
          value={search.q ?? ""}
          onChange={(q) =>
            navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true })
          }
        />
        <ViewSelect
          deleted={view === "DELETED_ONLY"}
          onChange={(deleted) =>
            navigate({
              search: (old) => ({ ...old, lifecycleFilter: deleted ? "Deleted" : undefined }),
            })
          }
        />
        <Button size="xs" ml="auto" onClick={() => setCreating(true)}>
          New experiment
        </Button>
      </Toolbar>
      {error && !data ? (
        <ErrorState error={error} retry={refetch} />
      ) : waiting ? (
        <Loading />
      ) : shown.length === 0 ? (
        <EmptyState title={wanted ? "No experiment has this name" : "No experiments here"} />
      ) : (
        <>
          <div
            className={css.list}
            style={firstRun ? { flex: "none", height: 34 + shown.length * 34 } : undefined}
          >
            <Grid
              label="Experiments"
              rows={shown}
              columns={columns}
              rowId={(e) => e.experiment_id}
              rowHeight={34}
              rowTestId="experiment-row"
              sort={sort}
              onSort={(id) =>
                setSort((old) => ({
                  id,
                  ascending: old.id === id ? !old.ascending : id === "name",
                }))
              }
              onOpen={(e) =>
                navigate({
                  to: "/experiments/$experimentId",
                  params: { experimentId: e.experiment_id },
                })
              }
            />
          </div>
          {firstRun ? <GettingStarted experiment={shown[0]?.name ?? "Default"} /> : null}
        </>
      )}
      <Modal opened={creating} onClose={() => setCreating(false)} title="New experiment" centered>
        <NewExperiment close={() => setCreating(false)} />
      </Modal>
    </>
  );
}
