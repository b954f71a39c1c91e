import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { open, serve } from "../test/app";
import { makeRun } from "../test/runs";

const experiment = (id: string, name: string, created: number) => ({
  experiment_id: id,
  name,
  artifact_location: "",
  lifecycle_stage: "active",
  creation_time: created,
  last_update_time: created,
});

const noOverview = { "experiments/overview": () => ({ experiments: [] }) };

describe("the experiment list", () => {
  it("lists the newest first, of all pages, and narrows as one types", async () => {
    serve({
      ...noOverview,
      "experiments/search": ({ body }) =>
        body.page_token
          ? { experiments: [experiment("2", "churn", 2)] }
          : { experiments: [experiment("1", "diamonds", 1)], next_page_token: "t" },
    });
    const { user } = open("/experiments");
    const names = () =>
      screen
        .getAllByTestId("experiment-row")
        .map((row) => within(row).getByRole("link").textContent);
    await screen.findAllByTestId("experiment-row");
    expect(names()).toEqual(["churn", "diamonds"]);
    await user.type(screen.getByLabelText("Find an experiment by name"), "DIA");
    expect(names()).toEqual(["diamonds"]);
    expect(screen.getByText("1 experiment")).toBeTruthy();
  });

  it("counts runs and failures, and puts what ran last first", async () => {
    serve({
      "experiments/search": () => ({
        experiments: [experiment("1", "old but busy", 1), experiment("2", "new", 50)],
      }),
      "experiments/overview": () => ({
        experiments: [{ experiment_id: "1", runs: 1234, failed: 7, last_run_time: 99 }],
      }),
    });
    open("/experiments");
    const [first, second] = await screen.findAllByTestId("experiment-row");
    const cells = (row?: HTMLElement) =>
      within(row as HTMLElement)
        .getAllByRole("gridcell")
        .map((cell) => cell.textContent);
    expect(cells(first).slice(0, 3)).toEqual(["old but busy", "1\u202f234", "7"]);
    expect(cells(second).slice(0, 3)).toEqual(["new", "0", "–"]);
  });

  it("offers another try when the server fails", async () => {
    let broken = true;
    serve({
      ...noOverview,
      "experiments/search": () =>
        broken
          ? { status: 500, error_code: "INTERNAL_ERROR", message: "internal error" }
          : { experiments: [experiment("1", "diamonds", 1)] },
    });
    const { user } = open("/experiments");
    expect((await screen.findByRole("alert")).textContent).toContain("internal error");
    broken = false;
    await user.click(screen.getByText("Try again"));
    expect(await screen.findByText("diamonds")).toBeTruthy();
  });
});

describe("models", () => {
  const version = (n: number) => ({
    name: "price",
    version: String(n),
    creation_timestamp: 1,
    last_updated_timestamp: 1,
    current_stage: "None",
    source: "runs:/abc/model",
    run_id: "abc",
    status: "READY",
  });
  const model = {
    name: "price",
    creation_timestamp: 1,
    last_updated_timestamp: 1,
    aliases: [{ alias: "champion", version: "2" }],
    latest_versions: [version(10)],
  };

  it("lists models with their aliases", async () => {
    serve({ "registered-models/search": () => ({ registered_models: [model] }) });
    open("/models");
    const row = await screen.findByTestId("model-row");
    expect(row.textContent).toContain("v10");
    expect(row.textContent).toContain("@champion → v2");
  });

  it("lists versions by number, newest first", async () => {
    serve({
      "registered-models/get": () => ({ registered_model: model }),
      "model-versions/search": () => ({ model_versions: [version(2), version(10), version(9)] }),
    });
    open("/models/price");
    const rows = await screen.findAllByTestId("version-row");
    expect(rows.map((row) => within(row).getByRole("link").textContent)).toEqual([
      "v10",
      "v9",
      "v2",
    ]);
    expect(rows[2]?.textContent).toContain("@champion");
  });

  it("shows how a version is used, by its alias", async () => {
    serve({
      "registered-models/get": () => ({ registered_model: model }),
      "model-versions/search": () => ({ model_versions: [version(2)] }),
      "artifacts/list": () => ({ root_uri: "x" }),
    });
    open("/models/price/versions/2");
    expect(await screen.findByText(/mlflow_load_model\("models:\/price@champion"\)/)).toBeTruthy();
    expect(await screen.findByText(/not within reach/)).toBeTruthy();
  });

  it("reads the signature of a version that is a logged model, and offers no R for Python's own", async () => {
    const id = `m-${"0123456789abcdef".repeat(2)}`;
    const inputs = '[{"type": "double", "name": "carat", "required": true}]';
    const calls = serve({
      "registered-models/get": () => ({ registered_model: model }),
      "model-versions/search": () => ({
        model_versions: [{ ...version(2), source: `models:/${id}` }],
      }),
      [`logged-models/${id}/artifacts/directories`]: () => ({
        root_uri: "x",
        files: [{ path: "MLmodel", is_dir: false, file_size: 9 }],
      }),
      "/model-versions/get-artifact": () => ({
        text: `flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    code: x\nsignature:\n  inputs: '${inputs}'\n`,
      }),
    });
    open("/models/price/versions/2");
    expect(await screen.findByText("carat")).toBeTruthy();
    expect(screen.getByText(/mlflow\.pyfunc\.load_model/)).toBeTruthy();
    expect(screen.queryByText("R")).toBeNull();
    expect(calls.filter((call) => call.path === "artifacts/list")).toEqual([]);
  });
});

describe("the comparison", () => {
  it("shows what differs, and a dash for what a run lacks", async () => {
    const runs = [
      makeRun({ id: "a", params: { lr: "0.1", seed: "1" }, metrics: { auc: 0.9 } }),
      makeRun({ id: "b", params: { lr: "0.2", seed: "1" } }),
    ];
    serve({
      "experiments/get": () => ({ experiment: experiment("1", "diamonds", 1) }),
      "runs/search": () => ({ runs }),
    });
    const { user } = open('/compare-runs?runs=["b","a"]&experiments=["1"]');
    const cells = async () =>
      (await screen.findAllByTestId("compare-cell")).map((c) => c.textContent);
    expect(await cells()).toEqual(["0.2", "0.1", "–", "0.90000"]);
    await user.click(screen.getByLabelText("Differences only"));
    expect(await screen.findByText("seed")).toBeTruthy();
  });
});

describe("links to comparisons", () => {
  it("shows the runs of model versions side by side", async () => {
    const of = (id: string, rmse: number) => makeRun({ id, metrics: { rmse }, params: { m: "x" } });
    serve({
      "model-versions/search": () => ({}),
      "runs/get": ({ query }) => ({
        run: query.get("run_id") === "a" ? of("a", 3) : of("b", 2),
      }),
    });
    open('/compare-model-versions?name="price"&runs={"10":"b","2":"a"}');
    const cells = await screen.findAllByTestId("compare-cell");
    expect(cells.map((cell) => cell.textContent)).toEqual(["3", "2"]);
    const links = ["v2", "v10"].map((name) => screen.getByRole("link", { name }));
    expect(links[1]?.getAttribute("href")).toContain("/models/price/versions/10");
  });
});
