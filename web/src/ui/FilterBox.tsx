import { CloseButton, Input, Loader } from "@mantine/core";
import { useEffect, useId, useState } from "react";
import css from "./FilterBox.module.css";
import { SearchIcon } from "./icons";

interface FilterBoxProps {
  value: string;
  onCommit: (text: string) => void;
  error?: string;
  busy?: boolean;
  /** A filter that works here. */
  example: string;
}

/** The search grammar's box: Enter sends it, Escape takes the change back, and the server's fault stands below. */
export function FilterBox({ value, onCommit, error, busy, example }: FilterBoxProps) {
  const [draft, setDraft] = useState(value);
  const errorId = useId();
  useEffect(() => setDraft(value), [value]);
  const stale = draft.trim() !== value;

  return (
    <div className={css.box}>
      <Input
        size="xs"
        className={css.input}
        leftSection={busy ? <Loader size={13} /> : <SearchIcon />}
        placeholder={`Filter, e.g. ${example}`}
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
            <CloseButton
              size="sm"
              tabIndex={-1}
              aria-label="Clear the filter"
              onClick={() => onCommit("")}
            />
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
