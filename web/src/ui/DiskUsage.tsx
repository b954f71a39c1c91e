import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
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

interface DiskUsageProps {
  experimentId: string;
  opened: boolean;
  onClose: () => void;
}

/** What an experiment takes of the disk, for those who ask. */
export function DiskUsage({ experimentId, opened, onClose }: DiskUsageProps) {
  const { data, error } = useQuery({ ...usageQuery(experimentId), enabled: opened });
  return (
    <Modal opened={opened} onClose={onClose} title="Disk usage" size="xs" centered>
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
    </Modal>
  );
}
