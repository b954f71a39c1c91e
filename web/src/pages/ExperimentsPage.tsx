import { Button, Modal, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { post } from "../api/client";
import { experimentsQuery } from "../api/queries";
import type { Experiment, ViewType } from "../api/types.gen";
import { isUserTag } from "../lib/columns";
import { plural } from "../lib/format";
import { Grid, type GridColumn } from "../ui/Grid";
import { Ago, Chip, PageHead, useNow } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import { SearchBox, Toolbar, ViewSelect } from "../ui/Toolbar";

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

function columnsFor(now: number): GridColumn<Experiment>[] {
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
      id: "last_update_time",
      header: "Changed",
      width: 120,
      right: true,
      sortable: true,
      cell: (e) => <Ago time={e.last_update_time} now={now} />,
    },
    {
      id: "creation_time",
      header: "Created",
      width: 120,
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

function sorted(list: Experiment[], id: string, ascending: boolean): Experiment[] {
  const compare = (a: Experiment, b: Experiment) => {
    if (id === "name") return byName(a.name, b.name);
    const key = id === "creation_time" ? "creation_time" : "last_update_time";
    return (a[key] ?? 0) - (b[key] ?? 0);
  };
  return [...list].sort((a, b) => (ascending ? compare(a, b) : compare(b, a)));
}

/** All experiments, found by their names as one types. */
export function ExperimentsPage() {
  const search = useSearch({ from: "/experiments" });
  const navigate = useNavigate({ from: "/experiments" });
  const view: ViewType = search.lifecycleFilter === "Deleted" ? "DELETED_ONLY" : "ACTIVE_ONLY";
  const { data, error, refetch } = useQuery(experimentsQuery(view));
  const [sort, setSort] = useState({ id: "creation_time", ascending: false });
  const [creating, setCreating] = useState(false);
  const now = useNow();
  // Tags stay away where there are none, and after the times where there is little room.
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const tagged = data?.some((e) => e.tags?.some((tag) => isUserTag(tag.key))) ?? false;
  const columns = useMemo(() => {
    const [name, tags, ...rest] = columnsFor(now);
    const own = tagged && tags ? [tags] : [];
    return name ? [name, ...(narrow ? [...rest, ...own] : [...own, ...rest])] : [];
  }, [now, narrow, tagged]);

  const wanted = (search.q ?? "").toLowerCase();
  const shown = useMemo(() => {
    const found = (data ?? []).filter(
      (e) => !wanted || e.name.toLowerCase().includes(wanted) || e.experiment_id === wanted,
    );
    return sorted(found, sort.id, sort.ascending);
  }, [data, wanted, sort]);

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
      ) : !data ? (
        <Loading />
      ) : shown.length === 0 ? (
        <EmptyState title={wanted ? "No experiment has this name" : "No experiments here"} />
      ) : (
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
      )}
      <Modal opened={creating} onClose={() => setCreating(false)} title="New experiment" centered>
        <NewExperiment close={() => setCreating(false)} />
      </Modal>
    </>
  );
}
