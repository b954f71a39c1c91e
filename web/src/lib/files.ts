export type PreviewKind = "image" | "table" | "json" | "markdown" | "text" | "binary" | "unknown";

const kinds: [PreviewKind, RegExp][] = [
  ["image", /\.(png|jpe?g|gif|svg|webp|bmp)$/],
  ["table", /\.(csv|tsv)$/],
  ["json", /\.(json|geojson|ipynb)$/],
  ["markdown", /\.(md|markdown)$/],
  [
    "text",
    /(\.(txt|log|ya?ml|r|rmd|qmd|py|sh|sql|toml|ini|cfg|conf|xml|html?|css|js|ts|go|jsonl|ndjson|tex|bib|rst|lock|env)|(^|\/)(mlmodel|mlproject|description|namespace|makefile|dockerfile|license|readme))$/,
  ],
  [
    "binary",
    /\.(rds|rdata|rda|bin|pkl|pt|pth|h5|hdf5|onnx|zip|gz|bz2|xz|tar|parquet|feather|arrow|so|exe|pdf|mp4|wav|mp3|npy|npz|joblib|model|ubj|qs|sqlite|db)$/,
  ],
];

/** How a file is shown, told from its name. */
export function previewKind(path: string): PreviewKind {
  const name = path.toLowerCase();
  return kinds.find(([, pattern]) => pattern.test(name))?.[0] ?? "unknown";
}

/** Whether a text has what no text has, so that it is some other format's bytes. */
export function looksBinary(text: string): boolean {
  let odd = 0;
  const head = text.slice(0, 4096);
  for (const char of head) {
    const code = char.codePointAt(0) ?? 0;
    if (code === 0) return true;
    if (code === 0xfffd || (code < 32 && code !== 9 && code !== 10 && code !== 13)) odd++;
  }
  return odd > head.length / 50;
}

export interface Delimited {
  header: string[];
  rows: string[][];
  /** Whether rows were left out. */
  more: boolean;
}

/** Reads delimited text with quotes as in RFC 4180, at most so many rows after the header. */
export function parseDelimited(text: string, delimiter: string, most: number): Delimited {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  let i = 0;
  const endCell = () => {
    row.push(cell);
    cell = "";
  };
  const endRow = () => {
    endCell();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  for (; i < text.length && rows.length <= most; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === delimiter) endCell();
    else if (c === "\n") endRow();
    else if (c !== "\r") cell += c;
  }
  if (i >= text.length && (cell !== "" || row.length > 0)) endRow();
  const [header = [], ...body] = rows;
  return { header, rows: body.slice(0, most), more: i < text.length };
}

export const folderOf = (path: string) => path.split("/").slice(0, -1).join("/");
export const nameOf = (path: string) => path.split("/").at(-1) ?? path;

/** The folders above a path, outermost first. */
export function foldersAbove(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}
