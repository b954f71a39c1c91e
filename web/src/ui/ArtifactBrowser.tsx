import { useQueries, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { archiveUrl } from "../api/client";
import { artifactsQuery } from "../api/queries";
import type { FileInfo } from "../api/types.gen";
import { foldersAbove, nameOf, previewKind } from "../lib/files";
import { formatBytes } from "../lib/format";
import css from "./ArtifactBrowser.module.css";
import { ChevronRight, Download, FileIcon, Folder, ImageIcon, TableIcon } from "./icons";
import { Copy, Section } from "./Page";
import { Preview } from "./Preview";
import { EmptyState, ErrorState, Loading } from "./states";

interface TreeRow {
  file: FileInfo;
  depth: number;
  open: boolean;
  loading: boolean;
}

function iconOf(row: TreeRow) {
  if (row.file.is_dir) return <Folder />;
  const kind = previewKind(row.file.path);
  return kind === "image" ? <ImageIcon /> : kind === "table" ? <TableIcon /> : <FileIcon />;
}

/** Folders first, then by name as people count. */
const inOrder = new Intl.Collator("en", { numeric: true }).compare;
const sortFiles = (files: FileInfo[]) =>
  [...files].sort((a, b) => Number(b.is_dir) - Number(a.is_dir) || inOrder(a.path, b.path));

/** The open part of the tree as rows. A folder's content is fetched when it is opened. */
function useTree(runId: string, open: ReadonlySet<string>) {
  const folders = useMemo(() => ["", ...[...open].sort()], [open]);
  const answers = useQueries({
    queries: folders.map((path) => artifactsQuery(runId, path)),
    combine: (results) => ({
      lists: results.map((r) => r.data?.files),
      pending: results[0]?.isPending ?? true,
      error: results[0]?.error ?? undefined,
    }),
  });
  const { lists, pending, error } = answers;
  const rows = useMemo(() => {
    const byFolder = new Map(folders.map((path, i) => [path, lists[i]]));
    const flat: TreeRow[] = [];
    const walk = (folder: string, depth: number) => {
      for (const file of sortFiles(byFolder.get(folder) ?? [])) {
        const isOpen = file.is_dir && open.has(file.path);
        flat.push({ file, depth, open: isOpen, loading: isOpen && !byFolder.get(file.path) });
        if (isOpen) walk(file.path, depth + 1);
      }
    };
    walk("", 0);
    return flat;
  }, [folders, lists, open]);
  return { rows, pending, error };
}

interface ArtifactBrowserProps {
  runId: string;
  artifactUri: string;
  path: string;
  onOpen: (path: string) => void;
}

/** A run's files: the tree on one side, the chosen file on the other. */
export function ArtifactBrowser({ runId, artifactUri, path, onOpen }: ArtifactBrowserProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(foldersAbove(path)));
  useEffect(() => {
    setOpen((old) => {
      const above = foldersAbove(path).filter((folder) => !old.has(folder));
      return above.length > 0 ? new Set([...old, ...above]) : old;
    });
  }, [path]);
  const { rows, pending, error } = useTree(runId, open);
  const root = useQuery(artifactsQuery(runId, ""));
  // A folder that is all there is, as a model often is, stands open from the start.
  const [lone] = root.data?.files?.length === 1 ? root.data.files : [];
  const opened = useRef(false);
  useEffect(() => {
    if (opened.current || !lone?.is_dir) return;
    opened.current = true;
    setOpen((old) => new Set([...old, lone.path]));
  }, [lone]);
  const chosen = rows.find((row) => row.file.path === path)?.file;

  const toggle = (folder: string) =>
    setOpen((old) => {
      const next = new Set(old);
      if (!next.delete(folder)) next.add(folder);
      return next;
    });

  if (error) return <ErrorState error={error} retry={root.refetch} />;
  if (pending) return <Loading />;
  if (rows.length === 0)
    return (
      <EmptyState title="No artifacts">
        <p>Files that the run logs appear here.</p>
        <p className="mono muted">{artifactUri}</p>
      </EmptyState>
    );
  return (
    <div className={css.browser}>
      <Section
        title="Files"
        aside={
          <span className={css.tools}>
            <Copy text={artifactUri} label="Copy the address of the artifacts" />
            <Zip runId={runId} path="" label="Download all as .zip" />
          </span>
        }
      >
        <Tree runId={runId} rows={rows} chosen={path} onOpen={onOpen} onToggle={toggle} />
      </Section>
      {chosen && !chosen.is_dir ? (
        <Preview key={chosen.path} runId={runId} file={chosen} artifactUri={artifactUri} />
      ) : (
        <Section title={chosen ? chosen.path : "Preview"}>
          <EmptyState title={path && !chosen ? "There is no such file" : "Choose a file"}>
            {path && !chosen ? <p className="mono">{path}</p> : null}
          </EmptyState>
        </Section>
      )}
    </div>
  );
}

function Zip({ runId, path, label }: { runId: string; path: string; label: string }) {
  return (
    <a
      className={css.zip}
      href={archiveUrl(runId, path)}
      download
      aria-label={label}
      title={label}
      tabIndex={path ? -1 : undefined}
      onClick={(event) => event.stopPropagation()}
    >
      <Download />
    </a>
  );
}

interface TreeProps {
  runId: string;
  rows: TreeRow[];
  chosen: string;
  onOpen: (path: string) => void;
  onToggle: (folder: string) => void;
}

const rowHeight = 28;

function Tree({ runId, rows, chosen, onOpen, onToggle }: TreeProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(() =>
    Math.max(
      0,
      rows.findIndex((r) => r.file.path === chosen),
    ),
  );
  const focusNext = useRef(false);
  const at = Math.min(active, rows.length - 1);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    getItemKey: (i) => rows[i]?.file.path ?? i,
  });
  useEffect(() => {
    if (!focusNext.current) return;
    focusNext.current = false;
    scroller.current?.querySelector<HTMLElement>(`[data-index="${at}"]`)?.focus();
  });

  const choose = (row: TreeRow) =>
    row.file.is_dir ? onToggle(row.file.path) : onOpen(row.file.path);
  const goTo = (index: number) => {
    const next = Math.max(0, Math.min(index, rows.length - 1));
    focusNext.current = true;
    setActive(next);
    virtual.scrollToIndex(next);
    const row = rows[next];
    if (row && !row.file.is_dir) onOpen(row.file.path);
  };
  /** Does what a key asks for; false when it is none of the tree's. */
  const press = (key: string, row: TreeRow): boolean => {
    if (key === "ArrowDown") goTo(at + 1);
    else if (key === "ArrowUp") goTo(at - 1);
    else if (key === "Home") goTo(0);
    else if (key === "End") goTo(rows.length - 1);
    else if (key === "Enter" || key === " ") choose(row);
    else if (key === "ArrowRight") {
      if (row.file.is_dir && !row.open) onToggle(row.file.path);
      else goTo(at + 1);
    } else if (key === "ArrowLeft") {
      if (row.open) onToggle(row.file.path);
      else {
        const above = rows.slice(0, at).findLastIndex((r) => r.depth < row.depth);
        if (above >= 0) goTo(above);
      }
    } else return false;
    return true;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[at];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    if (press(event.key, row)) event.preventDefault();
  };

  return (
    <div
      ref={scroller}
      className={css.tree}
      role="tree"
      aria-label="Artifacts"
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          const { file, depth } = row;
          return (
            <div
              key={file.path}
              role="treeitem"
              className={css.item}
              data-index={item.index}
              aria-level={depth + 1}
              aria-expanded={file.is_dir ? row.open : undefined}
              aria-selected={file.path === chosen}
              tabIndex={item.index === at ? 0 : -1}
              onFocus={() => setActive(item.index)}
              onClick={() => {
                setActive(item.index);
                choose(row);
              }}
              style={{
                height: rowHeight,
                paddingLeft: 6 + depth * 16,
                transform: `translateY(${item.start}px)`,
              }}
            >
              <span className={css.twist} data-open={row.open || undefined}>
                {file.is_dir ? <ChevronRight size={12} /> : null}
              </span>
              <span className={css.icon}>{iconOf(row)}</span>
              <span className="truncate" title={file.path}>
                {nameOf(file.path)}
              </span>
              <span className={`${css.size} num muted`}>
                {!file.is_dir ? (
                  formatBytes(file.file_size ?? 0)
                ) : row.loading ? (
                  "…"
                ) : (
                  <Zip runId={runId} path={file.path} label={`Download ${file.path} as .zip`} />
                )}
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
