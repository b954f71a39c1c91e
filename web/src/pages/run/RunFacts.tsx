import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { ModelVersion, Run } from "../../api/types.gen";
import { valuesOf } from "../../lib/columns";
import { formatDuration } from "../../lib/format";
import { Ago, Copy, Facts, useNow } from "../../ui/Page";
import { Status } from "../../ui/Status";
import css from "./RunFacts.module.css";

/** The line below a run's name: its state, times, who made it and from what. */
export function RunFacts({ run, versions }: { run: Run; versions?: ModelVersion[] }) {
  const { info } = run;
  const { tags } = valuesOf(run);
  const now = useNow();
  const source = tags.get("mlflow.source.name");
  const commit = tags.get("mlflow.source.git.commit");
  const user = tags.get("mlflow.user") || info.user_id;
  const facts: [string, ReactNode][] = [
    [
      "Status",
      <span key="s" className={css.status}>
        <Status status={info.status} label />
        {info.lifecycle_stage === "deleted" ? <span className="muted">(deleted)</span> : null}
      </span>,
    ],
    ["Started", <Ago key="t" time={info.start_time} now={now} />],
    [
      "Duration",
      info.end_time
        ? formatDuration(info.end_time - info.start_time)
        : info.status === "RUNNING"
          ? formatDuration(Math.max(0, now - info.start_time))
          : "–",
    ],
    ...(user ? [["User", user] as [string, ReactNode]] : []),
    ...(source
      ? [
          [
            "Source",
            <span key="src" title={commit ? `${source} at ${commit}` : source} className="truncate">
              {source.split("/").slice(-2).join("/")}
              {commit ? (
                <span className={`mono muted ${css.commit}`}>{commit.slice(0, 7)}</span>
              ) : null}
            </span>,
          ] as [string, ReactNode],
        ]
      : []),
    [
      "Run ID",
      <span key="id" className={css.id}>
        <span className="mono" title={info.run_id}>
          {info.run_id.slice(0, 8)}
        </span>
        <Copy text={info.run_id} label="Copy the run's id" />
      </span>,
    ],
    ...(versions && versions.length > 0
      ? [["Registered as", <Registered key="reg" versions={versions} />] as [string, ReactNode]]
      : []),
  ];
  return (
    <div className={css.facts}>
      <Facts facts={facts} />
    </div>
  );
}

function Registered({ versions }: { versions: ModelVersion[] }) {
  const [first, ...others] = versions;
  if (!first) return null;
  return (
    <>
      <Link
        to="/models/$name/versions/$version"
        params={{ name: first.name, version: first.version }}
      >
        {first.name} v{first.version}
      </Link>
      {others.length > 0 ? (
        <span className="muted" title={others.map((v) => `${v.name} v${v.version}`).join("\n")}>
          and {others.length} more
        </span>
      ) : null}
    </>
  );
}
