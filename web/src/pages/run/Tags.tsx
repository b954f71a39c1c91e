import { Button, CloseButton } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useRunChange } from "../../api/changes";
import type { Run } from "../../api/types.gen";
import { isUserTag } from "../../lib/columns";
import { Editable } from "../../ui/Editable";
import { Section } from "../../ui/Page";
import css from "./Tags.module.css";

const byKey = new Intl.Collator("en", { numeric: true }).compare;

/** A run's own tags, which can be added, changed and removed where they stand. */
export function Tags({ run }: { run: Run }) {
  const change = useRunChange(run.info.run_id);
  const [adding, setAdding] = useState(false);
  const tags = (run.data.tags ?? [])
    .filter((tag) => isUserTag(tag.key))
    .sort((a, b) => byKey(a.key, b.key));
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const tag = String(form.get("name")).trim();
    if (!tag) return;
    change(run, { tag, value: String(form.get("value")).trim() }, `Tagged with ${tag}`);
    setAdding(false);
  };
  return (
    <Section
      title="Tags"
      aside={
        <Button size="compact-xs" variant="subtle" onClick={() => setAdding(!adding)}>
          {adding ? "Cancel" : "Add tag"}
        </Button>
      }
    >
      {adding ? (
        <form className={css.row} onSubmit={add}>
          <input
            className={css.field}
            name="name"
            aria-label="Name of the tag"
            placeholder="Name"
            ref={focus}
          />
          <input
            className={css.field}
            name="value"
            aria-label="Value of the tag"
            placeholder="Value"
          />
          <Button size="compact-xs" type="submit">
            Add
          </Button>
        </form>
      ) : null}
      {tags.length === 0 && !adding ? <p className={css.none}>No tags.</p> : null}
      <ul className={css.list}>
        {tags.map(({ key, value }) => (
          <li key={key} className={css.row}>
            <span className="truncate" title={key}>
              {key}
            </span>
            <Editable
              value={value}
              label={`tag ${key}`}
              onSave={(next) => change(run, { tag: key, value: next }, `Changed ${key}`)}
            >
              <span className="truncate" title={value}>
                {value}
              </span>
            </Editable>
            <CloseButton
              size="sm"
              className={css.remove}
              aria-label={`Remove tag ${key}`}
              onClick={() => change(run, { tag: key, value: undefined }, `Removed ${key}`)}
            />
          </li>
        ))}
      </ul>
    </Section>
  );
}

const focus = (field: HTMLInputElement | null) => field?.focus();
