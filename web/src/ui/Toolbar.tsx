import { CloseButton, Input, SegmentedControl } from "@mantine/core";
import type { ReactNode } from "react";
import { SearchIcon } from "./icons";
import css from "./Toolbar.module.css";

export function Toolbar({ children }: { children: ReactNode }) {
  return <div className={css.toolbar}>{children}</div>;
}

/** A box that narrows a list as one types. */
export function SearchBox(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  testId?: string;
}) {
  return (
    <Input
      size="xs"
      className={css.search}
      leftSection={<SearchIcon />}
      placeholder={props.label}
      aria-label={props.label}
      data-testid={props.testId}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      rightSectionPointerEvents="all"
      rightSection={
        props.value ? (
          <CloseButton size="sm" aria-label="Clear" onClick={() => props.onChange("")} />
        ) : null
      }
    />
  );
}

export function ViewSelect(props: { deleted: boolean; onChange: (deleted: boolean) => void }) {
  return (
    <SegmentedControl
      size="xs"
      aria-label="Lifecycle"
      value={props.deleted ? "deleted" : "active"}
      onChange={(value) => props.onChange(value === "deleted")}
      data={[
        { value: "active", label: "Active" },
        { value: "deleted", label: "Deleted" },
      ]}
    />
  );
}
