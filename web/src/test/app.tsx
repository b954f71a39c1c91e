import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { vi } from "vitest";
import { makeRouter } from "../router";
import { theme } from "../theme";

export interface Call {
  path: string;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

/** What the server answers to a call: a body, a file's text, or a refusal. */
export type Answer = object | { status: number; error_code: string; message: string };

/** Answers requests by the end of their path; one that no answer is given for fails the test. */
export function serve(answers: Record<string, (call: Call) => Answer>): Call[] {
  const calls: Call[] = [];
  vi.stubGlobal("fetch", async (input: string, init?: RequestInit) => {
    const url = new URL(input, "http://weir.test/");
    const path = url.pathname.replace(/^\/(ajax-)?api\/(2\.0\/mlflow|weir\/v1)\//, "");
    const call = {
      path,
      query: url.searchParams,
      body: init?.body ? (JSON.parse(String(init.body)) as Record<string, unknown>) : {},
    };
    calls.push(call);
    const answer = answers[path];
    if (!answer) throw new Error(`no answer for ${path}`);
    const found = answer(call);
    if ("text" in found) return new Response(String(found.text));
    const status = "status" in found && "error_code" in found ? Number(found.status) : 200;
    return new Response(JSON.stringify(found), { status });
  });
  return calls;
}

/** Shows the whole app at a path. */
export function open(path: string) {
  const router = makeRouter(createMemoryHistory({ initialEntries: [path] }));
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const user = userEvent.setup();
  const view = render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { ...view, router, user };
}
