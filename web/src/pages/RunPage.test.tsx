import { screen, waitFor, within } from "@testing-library/react";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { open, serve } from "../test/app";
import { makeRun } from "../test/runs";

// The canvas is the browser test's subject; here the chart is what it says of itself.
vi.mock("../ui/Chart", () => ({
  Chart: ({ label }: { label: string }) => (
    <div role="img" aria-label={label} data-testid="chart" />
  ),
  lineColors: { light: [], dark: [] },
}));

const run = makeRun({
  id: "a",
  name: "ranger-03",
  metrics: { rmse: 541.3, val: 0.5, odd: "NaN" },
  params: { mtry: "5" },
  tags: {
    team: "pricing",
    "mlflow.note.content": "Do **not** delete <img src=x onerror=alert(1)>",
  },
});
const val = run.data.metrics?.find((m) => m.key === "val");
if (val) val.step = 3;

const summary = (key: string, min: number | "NaN", max: number | "NaN") => ({
  key,
  value: max,
  step: 0,
  first: max,
  min,
  max,
});

const answers = {
  "runs/overview": () => ({
    experiment_name: "diamonds",
    parent: { run_id: "p", run_name: "grid", status: "FINISHED" },
    children: [{ run_id: "c", run_name: "fold 1", status: "FAILED" }],
    children_total: 12,
    metrics: [summary("odd", "NaN", "NaN"), summary("rmse", 540, 612.5), summary("val", 0.5, 3)],
  }),
  "runs/get": () => ({ run }),
  "model-versions/search": () => ({}),
  "metrics/chart": () => ({
    from: 0,
    to: 3,
    curves: [
      {
        run_id: "a",
        points: 4,
        buckets: [0, 1, 2, 3].map((step) => {
          const value = 1 / (step + 1);
          return { from: step, to: step, min: value, max: value, last: value };
        }),
      },
    ],
  }),
};

beforeAll(() => {
  // The pages come in pieces; loading them all first keeps the waits of the tests short.
  return Promise.all([import("./withCharts"), import("../ui/Markdown")]);
});

describe("the run page", () => {
  it("shows metrics with the curve of the first one that has steps, params, tags and the note", async () => {
    const calls = serve(answers);
    open("/experiments/1/runs/a");
    const rows = await screen.findAllByTestId("metric-row");
    const shown = () => rows.map((row) => row.textContent);
    await waitFor(() =>
      expect(shown()).toEqual(["oddNaNNaNNaN0", "rmse541.30540612.500", "val0.500000.5000033"]),
    );
    expect((await screen.findByTestId("chart")).getAttribute("aria-label")).toBe(
      "val of ranger-03: 4 points, last 0.25000",
    );
    expect(screen.getByText("mtry")).toBeTruthy();
    expect(screen.getByText("pricing")).toBeTruthy();
    expect((await screen.findByText("not")).tagName).toBe("STRONG");
    expect(document.querySelector("img")).toBeNull();
    expect(screen.getByRole("link", { name: "diamonds" })).toBeTruthy();
    expect(screen.getByRole("link", { name: "grid" }).getAttribute("href")).toContain("/runs/p");
    expect(screen.getByRole("link", { name: "fold 1" })).toBeTruthy();
    expect(screen.getByText("and 11 more")).toBeTruthy();
    expect(calls.length).toBeLessThanOrEqual(4);
  });

  it("shows the curve of the metric that the keyboard moves to", async () => {
    const calls = serve(answers);
    const { router, user } = open("/experiments/1/runs/a/model-metrics");
    const rows = await screen.findAllByTestId("metric-row");
    expect(rows[2]?.dataset.current).toBe("true");
    rows[2]?.focus();
    await user.keyboard("{ArrowUp}");
    await waitFor(() => expect(router.state.location.search).toMatchObject({ metric: "rmse" }));
    await waitFor(() => expect(calls.at(-1)?.query.get("metric_key")).toBe("rmse"));
  });

  it("takes a new name at once and gives the old one back on Undo", async () => {
    const calls = serve({
      ...answers,
      "runs/update": ({ body }) => ({ run_info: { ...run.info, run_name: body.run_name } }),
    });
    const { user } = open("/experiments/1/runs/a");
    await user.click(await screen.findByLabelText("Edit name"));
    await user.clear(screen.getByLabelText("name"));
    await user.type(screen.getByLabelText("name"), "the best{Enter}");
    const heading = () => screen.getByRole("heading", { level: 1 }).textContent;
    expect(heading()).toBe("the best");
    await user.click(await screen.findByTestId("undo"));
    await waitFor(() => expect(heading()).toBe("ranger-03"));
    const names = calls.filter((c) => c.path === "runs/update").map((c) => c.body);
    expect(names).toEqual([
      { run_id: "a", run_name: "the best" },
      { run_id: "a", run_name: "ranger-03" },
    ]);
  });

  it("keeps the tag that the server refuses to change, and says why", async () => {
    serve({
      ...answers,
      "runs/set-tag": () => ({
        status: 400,
        error_code: "INVALID_PARAMETER_VALUE",
        message: "the value is too long",
      }),
    });
    const { user } = open("/experiments/1/runs/a");
    await user.click(await screen.findByLabelText("Edit tag team"));
    await user.type(screen.getByLabelText("tag team"), "research{Enter}");
    expect(await screen.findByText("the value is too long")).toBeTruthy();
    expect(screen.getByText("pricing")).toBeTruthy();
    expect(screen.queryByText("research")).toBeNull();
  });

  it("deletes the run and restores it on Undo", async () => {
    const calls = serve({ ...answers, "runs/delete": () => ({}), "runs/restore": () => ({}) });
    const { user } = open("/experiments/1/runs/a");
    await user.click(await screen.findByLabelText("More for this run"));
    await user.click(await screen.findByText("Delete run"));
    await user.click(await screen.findByTestId("undo"));
    await waitFor(() => expect(calls.find((c) => c.path === "runs/restore")).toBeTruthy());
    expect(calls.filter((c) => c.path === "runs/delete").map((c) => c.body)).toEqual([
      { run_id: "a" },
    ]);
  });

  it("says that a run does not exist", async () => {
    const gone = {
      status: 404,
      error_code: "RESOURCE_DOES_NOT_EXIST",
      message: "Run with id=x not found",
    };
    serve({ ...answers, "runs/get": () => gone });
    open("/experiments/1/runs/x");
    expect(await screen.findByText("Run with id=x not found")).toBeTruthy();
  });

  it("opens folders and files by keyboard, and a link leads to a file", async () => {
    const files: Record<string, object> = {
      "": {
        files: [
          { path: "plots", is_dir: true },
          { path: "a.txt", is_dir: false, file_size: 3 },
        ],
      },
      plots: { files: [{ path: "plots/p.png", is_dir: false, file_size: 2048 }] },
    };
    serve({
      ...answers,
      "artifacts/list": ({ query }) => ({ root_uri: "x", ...files[query.get("path") ?? ""] }),
      "/get-artifact": () => ({ hello: 1 }),
    });
    const { router, user } = open("/experiments/1/runs/a/artifacts/plots/p.png");
    const tree = await screen.findByRole("tree");
    await within(tree).findByText("p.png");
    const texts = () =>
      within(tree)
        .getAllByRole("treeitem")
        .map((item) => item.textContent);
    expect(texts()).toEqual(["plots", "p.png2.0 KB", "a.txt3 B"]);
    const preview = await screen.findByTestId("artifact-preview");
    expect(within(preview).getByRole("img").getAttribute("src")).toBe(
      "./get-artifact?path=plots%2Fp.png&run_id=a",
    );
    within(tree).getAllByRole("treeitem")[0]?.focus();
    await user.keyboard("{ArrowLeft}");
    await waitFor(() => expect(texts()).toEqual(["plots", "a.txt3 B"]));
    await user.keyboard("{ArrowDown}");
    await waitFor(() =>
      expect(router.state.location.pathname).toBe("/experiments/1/runs/a/artifacts/a.txt"),
    );
    expect(await screen.findByText('{"hello":1}')).toBeTruthy();
  });

  it("opens a folder that is all there is", async () => {
    const files: Record<string, object> = {
      "": { files: [{ path: "model", is_dir: true }] },
      model: { files: [{ path: "model/MLmodel", is_dir: false, file_size: 3 }] },
    };
    serve({
      ...answers,
      "artifacts/list": ({ query }) => ({ root_uri: "x", ...files[query.get("path") ?? ""] }),
    });
    const { user } = open("/experiments/1/runs/a/artifacts");
    const tree = await screen.findByRole("tree");
    await within(tree).findByText("MLmodel");
    await user.click(within(tree).getByText("model"));
    await waitFor(() => expect(within(tree).queryByText("MLmodel")).toBeNull());
  });
});

describe("a metric's own page", () => {
  it("names the runs that its link has the ids of", async () => {
    const calls = serve({
      ...answers,
      "runs/search": () => ({ runs: [run, makeRun({ id: "b", name: "lm-1" })] }),
    });
    open('/metric?runs=["a","b"]&metric="val"');
    expect(await screen.findByText("ranger-03")).toBeTruthy();
    expect(screen.getByText("lm-1")).toBeTruthy();
    expect(calls.filter((call) => call.path === "metrics/chart").length).toBe(1);
    expect(calls.find((call) => call.path === "runs/search")?.body.experiment_ids).toEqual(["1"]);
  });
});
