import { Popover, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { usageQuery } from "../api/queries";
import type { ExperimentUsage } from "../api/types.gen";
import { formatBytes, formatCount } from "../lib/format";
import css from "./DiskUsage.module.css";

function rowsOf(usage: ExperimentUsage): [string, string, string][] {
  return [
    ["Files", formatCount(usage.files), formatBytes(usage.artifact_bytes)],
    ["Points of metrics", formatCount(usage.points), formatBytes(usage.series_bytes)],
    ["Runs", formatCount(usage.runs), ""],
    ...(usage.deleted_runs > 0
      ? [["Deleted runs", formatCount(usage.deleted_runs), ""] as [string, string, string]]
      : []),
    ...(usage.logged_models > 0
      ? [["Logged models", formatCount(usage.logged_models), ""] as [string, string, string]]
      : []),
  ];
}

/** What an experiment takes of the disk, for those who ask. */
export function DiskUsage({ experimentId }: { experimentId: string }) {
  const [opened, setOpened] = useState(false);
  const { data, error } = useQuery({ ...usageQuery(experimentId), enabled: opened });
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-start" trapFocus>
      <Popover.Target>
        <UnstyledButton className={css.open} onClick={() => setOpened(!opened)}>
          Disk usage
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        {data ? (
          <table className={css.table} data-testid="disk-usage">
            <tbody>
              {rowsOf(data).map(([name, count, size]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td className="num">{count}</td>
                  <td className="num">{size}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <span className="muted">{error ? error.message : "Adding up"}</span>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}
