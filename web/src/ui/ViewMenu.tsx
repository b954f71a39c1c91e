import { Button, Menu } from "@mantine/core";
import { CheckIcon, ChevronDown } from "./icons";

interface ViewMenuProps {
  deleted: boolean;
  flat: boolean;
  onDeleted: (on: boolean) => void;
  onFlat: (on: boolean) => void;
  charts: boolean;
  onCharts: (on: boolean) => void;
  onRename: () => void;
  onUsage: () => void;
  /** Whether the experiment itself is deleted. */
  gone: boolean;
  onDelete: () => void;
  onRestore: () => void;
}

/** Which runs are shown and how, and what can be done with their experiment. */
export function ViewMenu(props: ViewMenuProps) {
  const { deleted, flat, onDeleted, onFlat, charts, onCharts } = props;
  return (
    <Menu position="bottom-start" width={190}>
      <Menu.Target>
        <Button size="xs" variant="default" rightSection={<ChevronDown />}>
          {deleted ? "Deleted" : "Active"}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Runs</Menu.Label>
        <Menu.RadioGroup
          value={deleted ? "deleted" : "active"}
          onChange={(value) => onDeleted(value === "deleted")}
        >
          <Menu.RadioItem value="active" checkIcon={<CheckIcon />}>
            Active
          </Menu.RadioItem>
          <Menu.RadioItem value="deleted" checkIcon={<CheckIcon />}>
            Deleted
          </Menu.RadioItem>
        </Menu.RadioGroup>
        <Menu.Label>Shown as</Menu.Label>
        <Menu.RadioGroup
          value={charts ? "chart" : "table"}
          onChange={(value) => onCharts(value === "chart")}
        >
          <Menu.RadioItem value="table" checkIcon={<CheckIcon />}>
            Table
          </Menu.RadioItem>
          <Menu.RadioItem value="chart" checkIcon={<CheckIcon />}>
            Curves
          </Menu.RadioItem>
        </Menu.RadioGroup>
        <Menu.Label>Nested runs</Menu.Label>
        <Menu.RadioGroup
          value={flat ? "flat" : "tree"}
          onChange={(value) => onFlat(value === "flat")}
        >
          <Menu.RadioItem value="tree" checkIcon={<CheckIcon />}>
            Below their parents
          </Menu.RadioItem>
          <Menu.RadioItem value="flat" checkIcon={<CheckIcon />}>
            In one flat list
          </Menu.RadioItem>
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Label>Experiment</Menu.Label>
        <Menu.Item onClick={props.onRename}>Rename</Menu.Item>
        <Menu.Item onClick={props.onUsage}>Disk usage</Menu.Item>
        {props.gone ? (
          <Menu.Item onClick={props.onRestore}>Restore</Menu.Item>
        ) : (
          <Menu.Item onClick={props.onDelete}>Delete</Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
