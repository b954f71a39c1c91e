import { Menu, UnstyledButton } from "@mantine/core";
import { More } from "./icons";
import css from "./LifecycleMenu.module.css";

interface LifecycleMenuProps {
  /** What is deleted or restored, such as "run". */
  what: string;
  deleted: boolean;
  onDelete: () => void;
  onRestore: () => void;
}

/** What can be done with the whole of a run or an experiment. */
export function LifecycleMenu({ what, deleted, onDelete, onRestore }: LifecycleMenuProps) {
  return (
    <Menu position="bottom-end" width={180}>
      <Menu.Target>
        <UnstyledButton className={css.more} aria-label={`More for this ${what}`}>
          <More />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        {deleted ? (
          <Menu.Item onClick={onRestore}>Restore {what}</Menu.Item>
        ) : (
          <Menu.Item onClick={onDelete}>Delete {what}</Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
