/** What the server answered instead of a result: its code, its sentence and the request's id. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    readonly requestId: string,
  ) {
    super(message);
    this.name = "ApiError";
  }

  get notFound() {
    return this.status === 404;
  }
}

export type Query = Record<string, string | number | readonly string[] | undefined>;

/** Resolves a path against the page, so that the interface works below a prefix as well. */
export function urlOf(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    if (typeof value === "object") for (const one of value) params.append(key, one);
    else params.set(key, String(value));
  }
  const text = params.toString();
  return `./${path}${text ? `?${text}` : ""}`;
}

async function errorOf(res: Response): Promise<ApiError> {
  const text = await res.text().catch(() => "");
  const requestId = res.headers.get("X-Request-Id") ?? "";
  try {
    const body = JSON.parse(text) as { error_code?: string; message?: string };
    if (body.error_code)
      return new ApiError(body.error_code, body.message ?? "", res.status, requestId);
  } catch {
    // Not the API's JSON: a proxy or a plain-text refusal spoke.
  }
  const plain = text.length > 0 && text.length < 300 && !text.includes("<") ? text : "";
  return new ApiError(
    "HTTP_ERROR",
    plain || `the server answered ${res.status}`,
    res.status,
    requestId,
  );
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let res: Response;
  try {
    res = await fetch(path, { credentials: "same-origin", ...init });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError("UNREACHABLE", "the server does not answer; is it running?", 0, "");
  }
  if (!res.ok) throw await errorOf(res);
  return res;
}

const base = "ajax-api/2.0/mlflow/";

export async function get<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
  const res = await send(urlOf(base + path, query), { signal });
  return (await res.json()) as T;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return await postTo(base + path, body, signal);
}

async function postTo<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const res = await send(urlOf(path), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  return (await res.json()) as T;
}

const ours = "api/weir/v1/";

/** Calls what is ours, below /api/weir/v1/. */
export async function getWeir<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
  const res = await send(urlOf(ours + path, query), { signal });
  return (await res.json()) as T;
}

export const postWeir = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> =>
  postTo(ours + path, body, signal);

/** Where a run's file is downloaded from. */
export function artifactUrl(runId: string, path: string): string {
  return urlOf("get-artifact", { path, run_id: runId });
}

/** Where a file of a model version is downloaded from, wherever the version's source is. */
export function versionFileUrl(name: string, version: string, path: string): string {
  return urlOf("model-versions/get-artifact", { path, name, version });
}

/** Where a folder of a run, or with an empty path all of its files, is downloaded from as one zip file. */
export function archiveUrl(runId: string, path: string): string {
  return urlOf(`${ours}artifacts/archive`, { run_id: runId, path, format: "zip" });
}

export interface TextFile {
  text: string;
  truncated: boolean;
}

/** Reads at most limit bytes of a text and stops the transfer there. */
export async function readText(
  url: string,
  limit: number,
  signal?: AbortSignal,
): Promise<TextFile> {
  const res = await send(url, { signal });
  const reader = res.body?.getReader();
  if (!reader) return { text: await res.text(), truncated: false };
  const decoder = new TextDecoder();
  let text = "";
  let seen = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), truncated: false };
    const room = limit - seen;
    if (value.length > room) {
      text += decoder.decode(value.subarray(0, room));
      await reader.cancel();
      return { text, truncated: true };
    }
    seen += value.length;
    text += decoder.decode(value, { stream: true });
  }
}
