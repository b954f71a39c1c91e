import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useMemo, useState } from "react";
import { artifactUrl, readText } from "../api/client";
import type { FileInfo } from "../api/types.gen";
import { looksBinary, type PreviewKind, parseDelimited, previewKind } from "../lib/files";
import { formatBytes, formatCount } from "../lib/format";
import { Grid, type GridColumn } from "./Grid";
import { Download } from "./icons";
import { Copy, Section } from "./Page";
import css from "./Preview.module.css";
import { EmptyState, ErrorState, Loading } from "./states";

const Markdown = lazy(() => import("./Markdown"));

/** Text is shown up to here; the rest is a download. */
const textLimit = 1 << 20;
const rowLimit = 1000;

interface PreviewProps {
  runId: string;
  file: FileInfo;
  artifactUri: string;
}

/** The chosen file, shown as what it is, with its size and ways to take it along. */
export function Preview({ runId, file, artifactUri }: PreviewProps) {
  const url = artifactUrl(runId, file.path);
  const kind = previewKind(file.path);
  return (
    <Section
      title={
        <span className={css.title}>
          <span className="truncate">{file.path}</span>
          <span className="muted num">{formatBytes(file.file_size ?? 0)}</span>
        </span>
      }
      aside={
        <span className={css.tools}>
          <Copy text={`${artifactUri}/${file.path}`} label="Copy the file's address" />
          <a className={css.tool} href={url} download aria-label="Download" title="Download">
            <Download />
          </a>
        </span>
      }
    >
      <div className={css.preview} data-testid="artifact-preview" data-kind={kind}>
        {!file.file_size ? (
          <EmptyState title="An empty file" />
        ) : kind === "image" ? (
          <Picture url={url} path={file.path} />
        ) : kind === "binary" ? (
          <NoPreview url={url} />
        ) : (
          <TextFile url={url} kind={kind} path={file.path} />
        )}
      </div>
    </Section>
  );
}

function NoPreview({ url }: { url: string }) {
  return (
    <EmptyState title="No preview for this kind of file">
      <p>
        <a href={url} download>
          Download it
        </a>
      </p>
    </EmptyState>
  );
}

/** An image element runs no script, so an SVG is as harmless here as a PNG. */
function Picture({ url, path }: { url: string; path: string }) {
  const [failed, setFailed] = useState(false);
  if (failed) return <EmptyState title="This picture cannot be shown" />;
  return (
    <div className={css.picture}>
      <img src={url} alt={path} onError={() => setFailed(true)} />
    </div>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function TextFile({ url, kind, path }: { url: string; kind: PreviewKind; path: string }) {
  const { data, error, refetch } = useQuery({
    queryKey: ["text", url],
    queryFn: ({ signal }) => readText(url, textLimit, signal),
    staleTime: 60_000,
  });
  if (error) return <ErrorState error={error} retry={refetch} />;
  if (!data) return <Loading />;
  if (kind === "unknown" && looksBinary(data.text)) return <NoPreview url={url} />;
  const cut = data.truncated ? (
    <p className={css.cut}>The first {formatBytes(textLimit)} are shown.</p>
  ) : null;
  if (kind === "table") return <Delimited text={data.text} path={path} cut={data.truncated} />;
  let body: ReactNode = (
    <pre className={css.text}>
      {kind === "json" && !data.truncated ? pretty(data.text) : data.text}
    </pre>
  );
  if (kind === "markdown")
    body = (
      <div className={css.page}>
        <Suspense fallback={<Loading />}>
          <Markdown text={data.text} />
        </Suspense>
      </div>
    );
  return (
    <>
      {cut}
      <div className={css.scroll}>{body}</div>
    </>
  );
}

interface CsvRow {
  id: string;
  cells: string[];
}

function Delimited({ text, path, cut }: { text: string; path: string; cut: boolean }) {
  const table = useMemo(
    () => parseDelimited(text, path.toLowerCase().endsWith(".tsv") ? "\t" : ",", rowLimit),
    [text, path],
  );
  const rows = useMemo(
    (): CsvRow[] => table.rows.map((cells, i) => ({ id: String(i), cells })),
    [table],
  );
  const columns = useMemo(
    (): GridColumn<CsvRow>[] =>
      table.header.slice(0, 200).map((name, i) => {
        const sample = table.rows.slice(0, 100).map((row) => row[i] ?? "");
        const numeric =
          sample.some((v) => v !== "") &&
          sample.every((v) => v === "" || v === "NA" || !Number.isNaN(Number(v)));
        const longest = Math.max(name.length, ...sample.map((v) => v.length));
        return {
          id: String(i),
          header: name || `(column ${i + 1})`,
          width: Math.max(64, Math.min(280, Math.ceil(28 + longest * 7.8))),
          right: numeric,
          cell: (row) => <span className="truncate">{row.cells[i]}</span>,
        };
      }),
    [table],
  );
  if (columns.length === 0) return <EmptyState title="An empty table" />;
  return (
    <>
      <p className={css.cut}>
        {table.more || cut
          ? `The first ${formatCount(rows.length)} rows`
          : `${formatCount(rows.length)} rows`}
        , {formatCount(table.header.length)} columns
      </p>
      <Grid label={path} rows={rows} columns={columns} rowId={(row) => row.id} />
    </>
  );
}
