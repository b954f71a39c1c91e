import { CloseButton, Input, Loader } from "@mantine/core";
import { useEffect, useId, useMemo, useState } from "react";
import { columnOf } from "../lib/columns";
import css from "./FilterBox.module.css";
import { SearchIcon } from "./icons";

/** An example in the words of this experiment, since a grammar is learned from one that works. */
function exampleOf(known: string[]): string {
  const metric = known.find((id) => id.startsWith("metrics."));
  const param = known.find((id) => id.startsWith("params."));
  const name = (id: string) => {
    const { kind, key } = columnOf(id);
    return /^[A-Za-z_][\w.]*$/.test(key) ? `${kind}.${key}` : `${kind}.\`${key}\``;
  };
  const parts = [
    ...(metric ? [`${name(metric)} < 1`] : []),
    ...(param ? [`${name(param)} = 'a'`] : ["attributes.status = 'FINISHED'"]),
  ];
  return `Filter, e.g. ${parts.join(" and ")}`;
}

interface FilterBoxProps {
  value: string;
  onCommit: (text: string) => void;
  error?: string;
  busy?: boolean;
  /** The columns that exist, for the example. */
  known: string[];
}

/** The search grammar's box: Enter sends it, Escape takes the change back, and the server's fault stands below. */
export function FilterBox({ value, onCommit, error, busy, known }: FilterBoxProps) {
  const [draft, setDraft] = useState(value);
  const errorId = useId();
  useEffect(() => setDraft(value), [value]);
  const example = useMemo(() => exampleOf(known), [known]);
  const stale = draft.trim() !== value;

  return (
    <div className={css.box}>
      <Input
        size="xs"
        className={css.input}
        leftSection={busy ? <Loader size={13} /> : <SearchIcon />}
        placeholder={example}
        aria-label="Filter runs"
        aria-describedby={error ? errorId : undefined}
        aria-invalid={error ? true : undefined}
        error={Boolean(error) && !stale}
        data-testid="filter"
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        value={draft}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onCommit(draft.trim());
          else if (event.key === "Escape") setDraft(value);
        }}
        rightSectionPointerEvents="all"
        rightSectionWidth={stale && draft ? 58 : 30}
        rightSection={
          stale && draft ? (
            <span className={css.hint}>Enter ↵</span>
          ) : draft ? (
            <CloseButton size="sm" tabIndex={-1} aria-label="Clear the filter" onClick={() => onCommit("")} />
          ) : null
        }
      />
      {error && !stale ? (
        <div id={errorId} className={css.error} role="alert" data-testid="filter-error">
          {error}
        </div>
      ) : null}
    </div>
  );
}
