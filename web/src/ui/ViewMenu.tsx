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
  const item = (label: string, on: boolean, choose: () => void) => (
    <Menu.Item
      role="menuitemradio"
      aria-checked={on}
      onClick={choose}
      rightSection={on ? <CheckIcon /> : null}
    >
      {label}
    </Menu.Item>
  );
  return (
    <Menu position="bottom-start" width={190}>
      <Menu.Target>
        <Button size="xs" variant="default" rightSection={<ChevronDown />}>
          {deleted ? "Deleted" : "Active"}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Runs</Menu.Label>
        {item("Active", !deleted, () => onDeleted(false))}
        {item("Deleted", deleted, () => onDeleted(true))}
        <Menu.Label>Nested runs</Menu.Label>
        {item("Below their parents", !flat, () => onFlat(false))}
        {item("In one flat list", flat, () => onFlat(true))}
      </Menu.Dropdown>
    </Menu>
  );
}
