import { Button } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { useRunChange } from "../../api/changes";
import type { Run } from "../../api/types.gen";
import { valuesOf } from "../../lib/columns";
import { Section } from "../../ui/Page";
import css from "./Note.module.css";

const Markdown = lazy(() => import("../../ui/Markdown"));

const noteTag = "mlflow.note.content";

/** What people wrote of a run, in Markdown. */
export function Note({ run }: { run: Run }) {
  const change = useRunChange(run.info.run_id);
  const [draft, setDraft] = useState<string>();
  const note = valuesOf(run).tags.get(noteTag) ?? "";
  const save = () => {
    const next = draft?.trim() ?? "";
    setDraft(undefined);
    if (next !== note) change(run, { tag: noteTag, value: next || undefined }, "Changed the note");
  };
  return (
    <Section
      title="Note"
      aside={
        draft === undefined ? (
          <Button size="compact-xs" variant="subtle" onClick={() => setDraft(note)}>
            {note ? "Edit note" : "Add note"}
          </Button>
        ) : (
          <span className={css.tools}>
            <Button size="compact-xs" variant="subtle" onClick={() => setDraft(undefined)}>
              Cancel
            </Button>
            <Button size="compact-xs" onClick={save}>
              Save
            </Button>
          </span>
        )
      }
    >
      {draft !== undefined ? (
        <textarea
          className={css.field}
          aria-label="Note"
          placeholder="Markdown"
          rows={6}
          value={draft}
          onChange={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setDraft(undefined);
            else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
          }}
        />
      ) : note ? (
        <div className={css.note}>
          <Suspense fallback={<p>{note}</p>}>
            <Markdown text={note} />
          </Suspense>
        </div>
      ) : null}
    </Section>
  );
}
