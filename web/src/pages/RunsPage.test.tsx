import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { SearchRunsRequest } from "../api/types.gen";
import { open, serve } from "../test/app";
import { makeRun } from "../test/runs";

const experiment = {
  experiment: {
    experiment_id: "1",
    name: "diamonds",
    artifact_location: "",
    lifecycle_stage: "active",
  },
};

const runs = [
  makeRun({ id: "p", name: "grid" }),
  makeRun({
    id: "a",
    name: "ranger-1",
    parent: "p",
    metrics: { rmse: 541.3049 },
    params: { m: "x" },
  }),
  makeRun({
    id: "b",
    name: "lm-1",
    metrics: { rmse: "NaN" },
    params: { m: "y" },
    status: "FAILED",
  }),
];

const names = () =>
  screen.getAllByTestId("run-row").map((row) => within(row).getByRole("link").textContent);

describe("the runs page", () => {
  it("shows runs with their numbers, states and nesting", async () => {
    serve({ "experiments/get": () => experiment, "runs/search": () => ({ runs }) });
    open("/experiments/1");
    const rows = await screen.findAllByTestId("run-row");
    expect(names()).toEqual(["grid", "ranger-1", "lm-1"]);
    expect(rows[1]?.getAttribute("aria-level")).toBe("2");
    expect(
      within(rows[1] as HTMLElement)
        .getByText("541.30")
        .getAttribute("title"),
    ).toBe("541.3049");
    expect(within(rows[2] as HTMLElement).getByText("NaN")).toBeTruthy();
    expect(within(rows[2] as HTMLElement).getByLabelText("Failed")).toBeTruthy();
    expect(screen.getByText("3 runs")).toBeTruthy();
    expect(document.title).toBe("diamonds · Weir");
  });

  it("tells the true total while only some runs have come", async () => {
    const calls = serve({
      "experiments/get": () => experiment,
      "runs/search": ({ body }) =>
        body.page_token
          ? { status: 503, error_code: "TEMPORARILY_UNAVAILABLE", message: "busy" }
          : { runs, next_page_token: "more" },
      "runs/count": () => ({ runs: 10_000 }),
    });
    open("/experiments/1?searchFilter=metrics.rmse > 1");
    expect(await screen.findByText("10 000 runs")).toBeTruthy();
    expect(calls.find((c) => c.path === "runs/count")?.body).toMatchObject({
      experiment_ids: ["1"],
      filter: "metrics.rmse > 1",
      run_view_type: "ACTIVE_ONLY",
    });
    // The page behind was refused once and is not asked for over and over.
    expect(calls.filter((c) => c.path === "runs/search").length).toBe(2);
  });

  it("sorts on the server and keeps the order in the URL", async () => {
    const calls = serve({ "experiments/get": () => experiment, "runs/search": () => ({ runs }) });
    const { router, user } = open("/experiments/1");
    await screen.findAllByTestId("run-row");
    const orders = () =>
      calls
        .filter((c) => c.path === "runs/search")
        .map((c) => (c.body as SearchRunsRequest).order_by);
    await user.click(screen.getByTestId("sort-rmse"));
    await waitFor(() => expect(orders().at(-1)).toEqual(["metrics.`rmse` DESC"]));
    await user.click(await screen.findByTestId("sort-rmse"));
    await waitFor(() => expect(orders().at(-1)).toEqual(["metrics.`rmse` ASC"]));
    expect(router.state.location.search).toMatchObject({
      orderByKey: "metrics.rmse",
      orderByAsc: true,
    });
  });

  it("shows a filter's fault and keeps the rows", async () => {
    serve({
      "experiments/get": () => experiment,
      "runs/search": ({ body }) =>
        body.filter
          ? { status: 400, error_code: "INVALID_PARAMETER_VALUE", message: "Invalid clause: >>" }
          : { runs },
    });
    const { user } = open("/experiments/1");
    await screen.findAllByTestId("run-row");
    const box = screen.getByTestId("filter");
    await user.type(box, "metrics.rmse >> 1{Enter}");
    expect((await screen.findByRole("alert")).textContent).toBe("Invalid clause: >>");
    expect(names()).toEqual(["grid", "ranger-1", "lm-1"]);
    expect(box.getAttribute("aria-invalid")).toBe("true");
  });

  it("moves with the arrows, selects with Space, opens with Enter, folds with Left", async () => {
    serve({
      "experiments/get": () => experiment,
      "runs/search": () => ({ runs }),
      "runs/get": () => ({ run: runs[1] }),
      "model-versions/search": () => ({}),
    });
    const { router, user } = open("/experiments/1");
    const rows = await screen.findAllByTestId("run-row");
    rows[0]?.focus();
    await user.keyboard("{ArrowLeft}");
    await waitFor(() => expect(names()).toEqual(["grid", "lm-1"]));
    await user.keyboard("{ArrowRight}");
    await waitFor(() => expect(names()).toEqual(["grid", "ranger-1", "lm-1"]));
    await user.keyboard("{ArrowDown} ");
    expect(document.activeElement?.getAttribute("aria-selected")).toBe("true");
    expect((screen.getByTestId("compare") as HTMLButtonElement).disabled).toBe(true);
    await user.keyboard("j ");
    expect(screen.getByTestId("compare").textContent).toBe("Compare 2");
    await user.keyboard("k{Enter}");
    await waitFor(() => expect(router.state.location.pathname).toBe("/experiments/1/runs/a"));
  });

  it("asks for parents that the search left out", async () => {
    const calls = serve({
      "experiments/get": () => experiment,
      "runs/search": ({ body }) =>
        String(body.filter).startsWith("run_id IN") ? { runs: [runs[0]] } : { runs: [runs[1]] },
    });
    open("/experiments/1?searchFilter=metrics.rmse%20%3C%20600");
    await screen.findAllByTestId("run-row");
    expect(names()).toEqual(["grid", "ranger-1"]);
    expect(calls.filter((c) => c.path === "runs/search")).toHaveLength(2);
  });

  it("reads the pages behind the first as the end comes near", async () => {
    const many = (from: number) =>
      Array.from({ length: 50 }, (_, i) => makeRun({ id: `r${from + i}` }));
    serve({
      "experiments/get": () => experiment,
      "runs/search": ({ body }) =>
        body.page_token ? { runs: many(50) } : { runs: many(0), next_page_token: "t" },
    });
    open("/experiments/1");
    expect(await screen.findByText("100 runs")).toBeTruthy();
    expect(screen.getAllByTestId("run-row").length).toBeLessThan(80);
  });

  it("shows how the first run is made where there is none", async () => {
    serve({ "experiments/get": () => experiment, "runs/search": () => ({}) });
    open("/experiments/1");
    expect(await screen.findByText("No runs yet")).toBeTruthy();
    expect(screen.getByText(/mlflow_set_experiment\("diamonds"\)/)).toBeTruthy();
  });

  it("says that an experiment does not exist", async () => {
    const gone = {
      status: 404,
      error_code: "RESOURCE_DOES_NOT_EXIST",
      message: "No Experiment with id=9 exists",
    };
    serve({ "experiments/get": () => gone, "runs/search": () => ({}) });
    open("/experiments/9");
    expect(await screen.findByText("No Experiment with id=9 exists")).toBeTruthy();
    expect(screen.getByText("All experiments").getAttribute("href")).toBe("/experiments");
  });

  it("tells what the experiment takes of the disk when somebody asks", async () => {
    const calls = serve({
      "experiments/get": () => experiment,
      "runs/search": () => ({ runs }),
      "experiments/usage": ({ query }) => ({
        experiments: [
          {
            experiment_id: query.get("experiment_id"),
            name: "diamonds",
            lifecycle_stage: "active",
            runs: 3,
            deleted_runs: 0,
            logged_models: 1,
            points: 1234,
            series_bytes: 2048,
            files: 2,
            artifact_bytes: 3145728,
          },
        ],
      }),
    });
    const { user } = open("/experiments/1");
    await screen.findAllByTestId("run-row");
    const asked = () => calls.filter((call) => call.path === "experiments/usage").length;
    expect(asked()).toBe(0);
    await user.click(screen.getByRole("button", { name: "Active" }));
    await user.click(await screen.findByRole("menuitem", { name: "Disk usage" }));
    const usage = await screen.findByTestId("disk-usage");
    const cells = within(usage)
      .getAllByRole("row")
      .map((row) => row.textContent);
    expect(cells).toEqual([
      "Files23.0 MB",
      "Points of metrics1\u202f2342.0 KB",
      "Runs3",
      "Logged models1",
    ]);
    expect(asked()).toBe(1);
  });
});
