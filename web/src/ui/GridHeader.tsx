import type { KeyboardEvent, ReactNode } from "react";
import type { GridColumn, Sort } from "./Grid";
import css from "./Grid.module.css";
import { ArrowDown, ArrowUp } from "./icons";

interface GridHeaderProps<T> {
  columns: GridColumn<T>[];
  sort?: Sort;
  onSort?: (id: string) => void;
  selectAll?: { all: boolean; some: boolean; toggle: () => void };
  toRows: () => void;
}

/** Neighbouring columns of one group, with the grid lines between which their heading stands. */
function groupsOf<T>(columns: GridColumn<T>[], offset: number) {
  const groups: { name: string; from: number; to: number }[] = [];
  columns.forEach((column, i) => {
    const open = groups.at(-1);
    if (open && open.name === column.group && open.to === i + offset) open.to++;
    else if (column.group)
      groups.push({ name: column.group, from: i + offset, to: i + offset + 1 });
  });
  return groups;
}

/** The heading of a grid. Its buttons are reached by Up from the first row, and by Left and Right among them. */
export function GridHeader<T>({ columns, sort, onSort, selectAll, toRows }: GridHeaderProps<T>) {
  const groups = groupsOf(columns, selectAll ? 2 : 1);

  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const heads = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-head]")];
    const at = heads.indexOf(event.target as HTMLElement);
    if (event.key === "ArrowDown") {
      event.preventDefault();
      event.stopPropagation();
      toRows();
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      heads[at + (event.key === "ArrowRight" ? 1 : -1)]?.focus();
    }
  };

  return (
    <div role="rowgroup" className={css.head} onKeyDown={onKeyDown}>
      {groups.length > 0 ? (
        <div className={css.groups} aria-hidden="true">
          <span className={css.corner} style={{ gridColumn: `1 / ${selectAll ? 3 : 2}` }} />
          {groups.map((group) => (
            <span
              key={group.name}
              className={css.group}
              style={{ gridColumn: `${group.from} / ${group.to}` }}
            >
              <span>{group.name}</span>
            </span>
          ))}
        </div>
      ) : null}
      <div role="row" aria-rowindex={1} className={css.headRow}>
        {selectAll ? (
          <div role="columnheader" className={css.check}>
            <input
              type="checkbox"
              tabIndex={-1}
              aria-label="Select all"
              checked={selectAll.all}
              ref={(box) => {
                if (box) box.indeterminate = selectAll.some && !selectAll.all;
              }}
              onChange={selectAll.toggle}
            />
          </div>
        ) : null}
        {columns.map((column, i) => {
          const sorted = sort?.id === column.id;
          const content: ReactNode = (
            <>
              <span className="truncate">{column.header}</span>
              {sorted ? sort?.ascending ? <ArrowUp /> : <ArrowDown /> : null}
            </>
          );
          return (
            <div
              key={column.id}
              role="columnheader"
              className={css.cell}
              data-right={column.right || undefined}
              data-first={i === 0 || undefined}
              data-last={i === columns.length - 1 || undefined}
              data-checked={(i === 0 && selectAll !== undefined) || undefined}
              data-sorted={sorted || undefined}
              aria-sort={sorted ? (sort?.ascending ? "ascending" : "descending") : undefined}
              title={
                column.title ?? (typeof column.header === "string" ? column.header : undefined)
              }
            >
              {column.sortable && onSort ? (
                <button
                  type="button"
                  className={css.sort}
                  tabIndex={-1}
                  data-head=""
                  data-testid={`sort-${column.testKey ?? column.id}`}
                  onClick={() => onSort(column.id)}
                >
                  {content}
                </button>
              ) : (
                content
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}
