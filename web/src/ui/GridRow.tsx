import type { Row } from "@tanstack/react-table";
import { memo } from "react";
import type { features, GridColumn } from "./Grid";
import css from "./Grid.module.css";
import { ChevronRight } from "./icons";

interface GridRowProps<T extends object> {
  row: Row<typeof features, T>;
  index: number;
  top: number;
  height: number;
  columns: GridColumn<T>[];
  nested: boolean;
  selectable: boolean;
  selected: boolean;
  /** Whether its nested rows are shown; undefined when it has none. */
  open?: boolean;
  current: boolean;
  /** Whether the Tab key stops at this row. */
  reachable: boolean;
  testId?: string;
  className?: string;
  /** Called without a row when only the focus came here. */
  onActive: (index: number, row: T | undefined) => void;
}

function RowView<T extends object>(props: GridRowProps<T>) {
  const { row, index, columns, nested, selectable, selected, open } = props;
  return (
    <div
      role="row"
      className={`${css.row} ${props.className ?? ""}`}
      data-index={index}
      data-selected={selected || undefined}
      data-current={props.current || undefined}
      data-testid={props.testId}
      aria-rowindex={index + 2}
      aria-level={nested ? row.depth + 1 : undefined}
      aria-expanded={open}
      aria-selected={selectable ? selected : undefined}
      tabIndex={props.reachable ? 0 : -1}
      onFocus={() => props.onActive(index, undefined)}
      onClick={() => props.onActive(index, row.original)}
      style={{
        height: props.height,
        transform: `translateY(${props.top}px)`,
      }}
    >
      {selectable ? (
        <div role="gridcell" className={css.check}>
          <input
            type="checkbox"
            tabIndex={-1}
            checked={selected}
            aria-label="Select"
            onChange={row.getToggleSelectedHandler({ selectChildren: false })}
          />
        </div>
      ) : null}
      {columns.map((column, i) => (
        <div
          key={column.id}
          role="gridcell"
          className={css.cell}
          data-right={column.right || undefined}
          data-first={i === 0 || undefined}
          data-last={i === columns.length - 1 || undefined}
          data-checked={(i === 0 && selectable) || undefined}
          style={i === 0 && nested ? { paddingLeft: 4 + row.depth * 16 } : undefined}
        >
          {i === 0 && nested ? (
            <button
              type="button"
              className={css.twist}
              tabIndex={-1}
              hidden={open === undefined}
              data-open={open || undefined}
              aria-label={open ? "Collapse" : "Expand"}
              onClick={(event) => {
                event.stopPropagation();
                row.toggleExpanded();
              }}
            >
              <ChevronRight size={12} />
            </button>
          ) : null}
          {column.cell(row.original)}
        </div>
      ))}
    </div>
  );
}

/** A row of a grid, drawn again only when something of it changes: scrolling draws the rows that come in. */
export const GridRow = memo(RowView) as typeof RowView;
