import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import css from "./states.module.css";

/** What stands where nothing is: what would be here, and how it gets here. */
export function EmptyState({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.state}>
      <h2 className={css.title}>{title}</h2>
      {children ? <div className={css.body}>{children}</div> : null}
    </div>
  );
}

/** A failed request: what went wrong in the server's words, the request's id, and another try. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const api = error instanceof ApiError ? error : undefined;
  if (api?.notFound)
    return (
      <EmptyState title="Not found">
        <p>{api.message}</p>
        <p>
          <Link to="/experiments">All experiments</Link>
        </p>
      </EmptyState>
    );
  return (
    <div className={css.state} role="alert">
      <h2 className={css.title}>
        {api?.code === "UNREACHABLE" ? "No connection" : "That did not work"}
      </h2>
      <div className={css.body}>
        <p>{error instanceof Error ? error.message : String(error)}</p>
        {api && api.status > 0 ? (
          <p className="muted mono">
            {api.code} · {api.status}
            {api.requestId ? ` · request ${api.requestId}` : ""}
          </p>
        ) : null}
        {retry ? (
          <Button size="xs" variant="default" onClick={retry}>
            Try again
          </Button>
        ) : null}
      </div>
    </div>
  );
}

/** Stands in for the page when a component throws. */
export function CrashPage({ error, reset }: { error: unknown; reset?: () => void }) {
  return <ErrorState error={error} retry={reset} />;
}

/** Grey bars that hold the place of what is being loaded. */
export function Loading({ rows = 8 }: { rows?: number }) {
  return (
    <div className={css.loading} role="status">
      <span className="hush">Loading</span>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars are all the same and never move
        <span key={i} className={css.bar} style={{ width: `${88 - ((i * 37) % 41)}%` }} />
      ))}
    </div>
  );
}
