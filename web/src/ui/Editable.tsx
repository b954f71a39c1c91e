import { UnstyledButton } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import css from "./Editable.module.css";
import { Pencil } from "./icons";

interface EditableProps {
  value: string;
  /** What is edited, for those who hear the page. */
  label: string;
  /** How the value looks while nobody edits it; the value itself when absent. */
  children?: ReactNode;
  /** An empty value is not taken. */
  required?: boolean;
  /** Another number than before opens the field; a menu does, and then the Tab key need not stop here. */
  begin?: number;
  onSave: (value: string) => void;
}

/** A text that becomes a field: Enter or leaving it saves, Escape keeps what was. */
export function Editable({ value, label, children, required, begin, onSave }: EditableProps) {
  const [draft, setDraft] = useState<string>();
  const current = useRef(value);
  current.current = value;
  useEffect(() => {
    if (begin) setDraft(current.current);
  }, [begin]);
  const save = () => {
    const next = draft?.trim();
    setDraft(undefined);
    if (next !== undefined && next !== value && !(required && next === "")) onSave(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Enter") save();
    else if (event.key === "Escape") setDraft(undefined);
  };
  if (draft !== undefined)
    return (
      <input
        className={css.field}
        aria-label={label}
        value={draft}
        ref={(field) => {
          // Only as it appears: afterwards the caret belongs to whoever types.
          if (field && document.activeElement !== field) {
            field.focus();
            field.select();
          }
        }}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onBlur={save}
        onKeyDown={onKeyDown}
      />
    );
  return (
    <span className={css.shown}>
      {children ?? <span className="truncate">{value}</span>}
      <UnstyledButton
        className={css.edit}
        tabIndex={begin === undefined ? undefined : -1}
        aria-label={`Edit ${label}`}
        title={`Edit ${label}`}
        onClick={() => setDraft(value)}
      >
        <Pencil />
      </UnstyledButton>
    </span>
  );
}
