import type { RunStatus } from "../api/types.gen";
import css from "./Status.module.css";

const words: Record<RunStatus, string> = {
  RUNNING: "Running",
  SCHEDULED: "Scheduled",
  FINISHED: "Finished",
  FAILED: "Failed",
  KILLED: "Killed",
};

const shapes: Record<RunStatus, string> = {
  RUNNING: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  SCHEDULED: "M8 4.5V8l2.3 1.6M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11Z",
  FINISHED: "m3.5 8.5 3 3 6-6.5",
  FAILED: "m4 4 8 8m0-8-8 8",
  KILLED: "M4 4h8v8H4z",
};

/** A run's state by shape, colour and word; as a glyph alone, the word is its label. */
export function Status({ status, label = false }: { status: RunStatus; label?: boolean }) {
  return (
    <span className={css.status} data-status={status} title={label ? undefined : words[status]}>
      <svg
        width="14"
        height="14"
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="2"
        strokeLinecap="round"
        strokeLinejoin="round"
        role={label ? undefined : "img"}
        aria-label={label ? undefined : words[status]}
        aria-hidden={label || undefined}
      >
        <path d={shapes[status]} />
      </svg>
      {label ? words[status] : null}
    </span>
  );
}
