import { Button, Menu } from "@mantine/core";
import { CheckIcon, ChevronDown } from "./icons";

interface ViewMenuProps {
  deleted: boolean;
  flat: boolean;
  onDeleted: (on: boolean) => void;
  onFlat: (on: boolean) => void;
}

/** Which runs the table shows, and whether nested ones stand below their parents. */
export function ViewMenu({ deleted, flat, onDeleted, onFlat }: ViewMenuProps) {
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
      </Menu.Dropdown>
    </Menu>
  );
}
