import { Button, Checkbox, Input, Popover, UnstyledButton } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Run } from "../api/types.gen";
import { availableColumns, columnOf } from "../lib/columns";
import { formatCount } from "../lib/format";
import css from "./ColumnChooser.module.css";
import { Columns } from "./icons";

const headings = { metrics: "Metrics", params: "Parameters", tags: "Tags", attributes: "" };
const shownAtOnce = 100;

interface ColumnChooserProps {
  runs: readonly Run[];
  chosen: string[];
  /** Whether the choice differs from the preset. */
  changed: boolean;
  /** Given undefined, the preset comes back. */
  onChange: (columns: string[] | undefined) => void;
}

/** Chooses value columns, by a search over all keys. */
export function ColumnChooser({ runs, chosen, changed, onChange }: ColumnChooserProps) {
  const [search, setSearch] = useState("");
  const [opened, setOpened] = useState(false);
  // All keys of all runs are many; they are gathered when somebody looks.
  const known = useMemo(() => (opened ? availableColumns(runs) : []), [opened, runs]);
  const on = useMemo(() => new Set(chosen), [chosen]);
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    const all = [...new Set([...known, ...chosen])];
    const match = all.filter((id) => id.toLowerCase().includes(wanted));
    const order = ["metrics", "params", "tags"];
    return match.sort((a, b) => order.indexOf(columnOf(a).kind) - order.indexOf(columnOf(b).kind));
  }, [known, chosen, search]);
  const shown = found.slice(0, shownAtOnce);

  const toggle = (id: string) => {
    if (on.has(id)) return onChange(chosen.filter((one) => one !== id));
    // Columns of one kind stay together, in the order in which they were chosen.
    const order = ["metrics", "params", "tags"];
    const next = [...chosen, id];
    const place = (one: string) => order.indexOf(columnOf(one).kind);
    onChange(next.sort((a, b) => place(a) - place(b)));
  };

  return (
    <Popover
      position="bottom-start"
      width={300}
      trapFocus
      opened={opened}
      onChange={setOpened}
      onClose={() => setSearch("")}
    >
      <Popover.Target>
        <Button
          size="xs"
          variant="default"
          leftSection={<Columns />}
          onClick={() => setOpened(!opened)}
        >
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0} aria-label="Columns">
        <div className={css.top}>
          <Input
            size="xs"
            placeholder="Find a metric, parameter or tag"
            aria-label="Find a column"
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
        <div className={css.list}>
          {shown.map((id, i) => {
            const { kind, key } = columnOf(id);
            const before = shown[i - 1];
            const heads = !before || columnOf(before).kind !== kind;
            return (
              <div key={id}>
                {heads ? <div className={css.heading}>{headings[kind]}</div> : null}
                <Checkbox
                  size="xs"
                  className={css.item}
                  label={key}
                  checked={on.has(id)}
                  onChange={() => toggle(id)}
                />
              </div>
            );
          })}
          {found.length > shownAtOnce ? (
            <div className={css.more}>
              {formatCount(found.length - shownAtOnce)} more; type to narrow
            </div>
          ) : null}
          {found.length === 0 ? <div className={css.more}>No key matches</div> : null}
        </div>
        <div className={css.foot}>
          <UnstyledButton disabled={!changed} onClick={() => onChange(undefined)}>
            Back to the usual columns
          </UnstyledButton>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
