import {
  createExpandedRowModel,
  type ExpandedState,
  type RowSelectionState,
  rowExpandingFeature,
  rowSelectionFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type KeyboardEvent,
  type ReactNode,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import css from "./Grid.module.css";
import { GridHeader } from "./GridHeader";
import { GridRow } from "./GridRow";

export const features = tableFeatures({
  rowExpandingFeature,
  rowSelectionFeature,
  expandedRowModel: createExpandedRowModel(),
});

export interface GridColumn<T> {
  id: string;
  /** How tests call the column; its id when absent. */
  testKey?: string;
  header: ReactNode;
  /** What the header says to a pointer; the text of the header when absent. */
  title?: string;
  /** Neighbours of the same group stand below one heading. */
  group?: string;
  width: number;
  /** Takes the room that is left. */
  grow?: boolean;
  right?: boolean;
  sortable?: boolean;
  cell: (row: T) => ReactNode;
}

export interface Sort {
  id: string;
  ascending: boolean;
}

interface GridProps<T> {
  label: string;
  rows: T[];
  columns: GridColumn<T>[];
  rowId: (row: T) => string;
  subRows?: (row: T) => T[];
  sort?: Sort;
  onSort?: (id: string) => void;
  onOpen?: (row: T) => void;
  /** Called when the Delete key asks for what is selected to go. */
  onDelete?: () => void;
  /** Called as another row becomes the active one, by key or pointer. */
  onActive?: (row: T) => void;
  activeId?: string;
  selection?: RowSelectionState;
  onSelection?: (next: RowSelectionState) => void;
  /** Called when the end of the rows comes near. */
  onEnd?: () => void;
  /** How many rows there are when more exist than are given. */
  total?: number;
  rowHeight?: number;
  testId?: string;
  rowTestId?: string;
  rowClass?: (row: T) => string | undefined;
}

const noColumns: never[] = [];

/** More rows are asked for when so many are left below the screen. */
const ahead = 300;

/**
 * A table of any length: only the rows on the screen are in the document. It is one stop of the Tab key; arrows
 * (or j and k) move between rows, Right and Left open and close a nested one, Space (or x) selects, Enter opens.
 */
export function Grid<T extends object>(props: GridProps<T>) {
  const { rows, columns, rowId, subRows, selection, onSelection, onEnd, rowHeight = 28 } = props;
  const [expanded, setExpanded] = useState<ExpandedState>(true);
  const [active, setActive] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const focusNext = useRef(false);

  const table = useTable({
    features,
    columns: noColumns,
    data: rows,
    getRowId: rowId,
    getSubRows: subRows,
    enableSubRowSelection: false,
    state: { expanded, rowSelection: selection ?? {} },
    onExpandedChange: setExpanded,
    onRowSelectionChange: (update) =>
      onSelection?.(typeof update === "function" ? update(selection ?? {}) : update),
  });
  const shown = table.getRowModel().rows;
  const picked = selection !== undefined && Object.values(selection).some(Boolean);
  const nested = useMemo(() => shown.some((row) => row.depth > 0 || row.getCanExpand()), [shown]);

  const given = props.activeId;
  const at = useMemo(() => {
    const index = given === undefined ? active : shown.findIndex((row) => row.id === given);
    return Math.max(0, Math.min(index, shown.length - 1));
  }, [given, active, shown]);

  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 10,
    getItemKey: (index) => shown[index]?.id ?? index,
    // The active row stays in the document when it is scrolled away, or the keyboard would lose its place.
    rangeExtractor: (range) => {
      const indexes = defaultRangeExtractor(range);
      if (at < range.startIndex - range.overscan) indexes.unshift(at);
      else if (at > range.endIndex + range.overscan && at < range.count) indexes.push(at);
      return [...new Set(indexes)];
    },
  });
  const items = virtual.getVirtualItems();

  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (shown.length > 0 && last >= shown.length - ahead) onEnd?.();
  }, [last, shown.length, onEnd]);

  useEffect(() => {
    if (!focusNext.current) return;
    focusNext.current = false;
    scroller.current
      ?.querySelector<HTMLElement>(`[data-index="${at}"]`)
      ?.focus({ preventScroll: true });
  });

  const template = useMemo(
    () =>
      [
        ...(onSelection ? ["calc(var(--cell-start, 12px) + 22px)"] : []),
        ...columns.map((c) => (c.grow ? `minmax(${c.width}px, 1fr)` : `${c.width}px`)),
      ].join(" "),
    [columns, onSelection],
  );
  const minWidth = columns.reduce((sum, c) => sum + c.width, onSelection ? 44 : 0);

  const told = useRef(props.onActive);
  told.current = props.onActive;
  // One function for the life of the grid, so that rows that did not change are not drawn again.
  const activate = useCallback((index: number, row: T | undefined) => {
    setActive(index);
    if (row) told.current?.(row);
  }, []);

  const goTo = (index: number) => {
    const next = Math.max(0, Math.min(index, shown.length - 1));
    focusNext.current = true;
    setActive(next);
    virtual.scrollToIndex(next);
    const row = shown[next];
    if (row) props.onActive?.(row.original);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    if (!target.dataset.index) return;
    const row = shown[at];
    if (!row) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 3);
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: shown.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const header = scroller.current?.querySelector<HTMLElement>("[data-head]");
      if (to < 0 && event.key === "ArrowUp" && header) header.focus();
      else goTo(to);
    } else if (event.key === "Enter") {
      event.preventDefault();
      props.onOpen?.(row.original);
    } else if ((event.key === " " || event.key === "x") && onSelection) {
      event.preventDefault();
      row.toggleSelected();
    } else if (event.key === "Delete" && props.onDelete) {
      event.preventDefault();
      props.onDelete();
    } else if (event.key === "ArrowRight" && row.getCanExpand() && !row.getIsExpanded()) {
      event.preventDefault();
      row.toggleExpanded(true);
    } else if (event.key === "ArrowLeft" && nested) {
      event.preventDefault();
      if (row.getCanExpand() && row.getIsExpanded()) row.toggleExpanded(false);
      else {
        const parent = row.getParentRow();
        if (parent) goTo(shown.findIndex((one) => one.id === parent.id));
      }
    }
  };

  const heads = 30 + (columns.some((c) => c.group) ? 22 : 0);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it has a role, one of two
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: as above
    <div
      ref={scroller}
      className={css.scroller}
      role={nested ? "treegrid" : "grid"}
      aria-label={props.label}
      aria-rowcount={(props.total ?? shown.length) + 1}
      aria-multiselectable={onSelection ? true : undefined}
      data-testid={props.testId}
      onKeyDown={onKeyDown}
      // The first cells stick only while there is something to stick against: a browser keeps a layer of its own for each
      // sticky cell, and arranging the layers of all rows costs more than the rest of a frame.
      onScroll={(event) => {
        const grid = event.currentTarget;
        grid.toggleAttribute("data-across", grid.scrollLeft > 0);
      }}
      style={{ scrollPaddingTop: heads }}
    >
      <div style={{ minWidth, "--columns": template } as CSSProperties}>
        <GridHeader
          columns={columns}
          sort={props.sort}
          onSort={props.onSort}
          selectAll={
            onSelection
              ? {
                  all: picked && table.getIsAllRowsSelected(),
                  some: picked,
                  toggle: () => table.toggleAllRowsSelected(),
                }
              : undefined
          }
          toRows={() => goTo(at)}
        />
        <div role="rowgroup" className={css.body} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = shown[item.index];
            return row ? (
              <GridRow
                key={row.id}
                row={row}
                index={item.index}
                top={item.start}
                height={rowHeight}
                columns={columns}
                nested={nested}
                selectable={onSelection !== undefined}
                selected={picked && row.getIsSelected()}
                open={row.getCanExpand() ? row.getIsExpanded() : undefined}
                current={given !== undefined && row.id === given}
                reachable={item.index === at}
                testId={props.rowTestId}
                className={props.rowClass?.(row.original)}
                onActive={activate}
              />
            ) : null;
          })}
        </div>
      </div>
    </div>
  );
}
