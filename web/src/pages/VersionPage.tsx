import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { artifactUrl, readText, versionFileUrl } from "../api/client";
import { artifactsQuery, loggedModelFilesQuery, modelQuery, versionsQuery } from "../api/queries";
import type { ModelVersion } from "../api/types.gen";
import {
  aliasesOf,
  type Field,
  flavorsOf,
  loadsInR,
  loggedModelOf,
  pathInRun,
  signatureOf,
} from "../lib/models";
import { loadModelSnippets } from "../lib/snippets";
import { CodeTabs, serverUrl } from "../ui/CodeTabs";
import { Ago, Chip, Copy, Facts, PageHead, Section, useNow } from "../ui/Page";
import { EmptyState, ErrorState, Loading } from "../ui/states";
import css from "./VersionPage.module.css";

/** The MLmodel file of a version, among its run's artifacts or its logged model's: looked for before it is asked for. */
function useMlmodel(version: ModelVersion | undefined) {
  const runId = version?.run_id ?? "";
  const folder = version ? pathInRun(version) : undefined;
  const list = useQuery({
    ...artifactsQuery(runId, folder ?? ""),
    enabled: runId !== "" && folder !== undefined,
  });
  const modelId = (version && loggedModelOf(version)) ?? "";
  const files = useQuery({ ...loggedModelFilesQuery(modelId), enabled: modelId !== "" });
  const path = folder ? `${folder}/MLmodel` : "MLmodel";
  const found = modelId ? files : list;
  const there =
    found.data?.files?.some((file) => file.path === (modelId ? "MLmodel" : path)) ?? false;
  const url = !version
    ? ""
    : modelId
      ? versionFileUrl(version.name, version.version, "MLmodel")
      : artifactUrl(runId, path);
  const text = useQuery({
    queryKey: ["mlmodel", url],
    enabled: there,
    queryFn: async ({ signal }) => (await readText(url, 1 << 18, signal)).text,
    staleTime: 60_000,
  });
  return { data: text.data, loading: found.isFetching || text.isFetching };
}

function Fields({ title, fields }: { title: string; fields: Field[] }) {
  return (
    <table className={css.fields}>
      <caption>{title}</caption>
      <tbody>
        {fields.slice(0, 60).map((field) => (
          <tr key={field.name}>
            <th scope="row">{field.name}</th>
            <td className="mono">{field.type}</td>
            <td className="muted">{field.required ? "" : "optional"}</td>
          </tr>
        ))}
        {fields.length > 60 ? (
          <tr>
            <td colSpan={3} className="muted">
              and {fields.length - 60} more
            </td>
          </tr>
        ) : null}
      </tbody>
    </table>
  );
}

/** One version of a registered model. */
export function VersionPage() {
  const { name, version: number } = useParams({ from: "/models/$name/versions/$version" });
  const model = useQuery(modelQuery(name));
  const versions = useQuery(versionsQuery({ name }));
  const version = versions.data?.find((v) => v.version === number);
  const mlmodel = useMlmodel(version);
  const now = useNow();

  const error = model.error ?? versions.error;
  if (error && !version) return <ErrorState error={error} retry={versions.refetch} />;
  const aliases = version ? aliasesOf(model.data, version) : [];
  const signature = mlmodel.data ? signatureOf(mlmodel.data) : undefined;
  const flavors = mlmodel.data ? flavorsOf(mlmodel.data) : [];
  const folder = version ? pathInRun(version) : undefined;
  const { R, ...others } = loadModelSnippets(
    serverUrl(),
    aliases[0] ? `models:/${name}@${aliases[0]}` : `models:/${name}/${number}`,
  );
  const code: Record<string, string> = loadsInR(flavors) && R ? { R, ...others } : others;

  const facts = (v: ModelVersion): [string, ReactNode][] => [
    ["Status", v.status === "READY" ? "Ready" : v.status_message || v.status],
    ["Stage", v.current_stage === "None" ? "–" : v.current_stage],
    ["Created", <Ago key="c" time={v.creation_timestamp} now={now} />],
    ["Changed", <Ago key="u" time={v.last_updated_timestamp} now={now} />],
    ...(flavors.length > 0 ? [["Flavors", flavors.join(", ")] as [string, ReactNode]] : []),
    ...(v.run_id
      ? [
          [
            "From run",
            <Link
              key="r"
              className="mono"
              to="/experiments/$experimentId/runs/$runId/artifacts/$"
              params={{
                experimentId: experimentOf(v) ?? "0",
                runId: v.run_id,
                _splat: folder ? `${folder}/MLmodel` : "",
              }}
            >
              {v.run_id.slice(0, 8)}
            </Link>,
          ] as [string, ReactNode],
        ]
      : []),
  ];

  return (
    <>
      <PageHead
        crumbs={[
          { label: "Models", link: { to: "/models" } },
          { label: name, link: { to: "/models/$name", params: { name } } },
        ]}
        title={<span className="num">v{number}</span>}
        name={`${name} v${number}`}
      >
        {aliases.map((alias) => (
          <Chip key={alias} tone="accent">
            @{alias}
          </Chip>
        ))}
      </PageHead>
      {!versions.data ? (
        <Loading />
      ) : !version ? (
        <EmptyState title={`${name} has no version ${number}`}>
          <Link to="/models/$name" params={{ name }}>
            All versions
          </Link>
        </EmptyState>
      ) : (
        <div className={css.page}>
          <Facts facts={facts(version)} />
          {version.description ? <p className={css.description}>{version.description}</p> : null}
          <div className={css.columns}>
            <Section title="Signature">
              <div className={css.signature} data-testid="signature">
                {signature ? (
                  <>
                    <Fields title="Inputs" fields={signature.inputs} />
                    <Fields title="Outputs" fields={signature.outputs} />
                  </>
                ) : (
                  <p className="muted">
                    {mlmodel.data
                      ? "This version was logged without a signature."
                      : mlmodel.loading
                        ? "Loading"
                        : "The MLmodel file, which holds the signature, is not within reach of this page."}
                  </p>
                )}
              </div>
            </Section>
            <div className={css.stack}>
              <CodeTabs title="Use this version" code={code} />
              <Section
                title="Source"
                aside={<Copy text={version.source} label="Copy the source" />}
              >
                <p className={`mono ${css.source}`}>{version.source}</p>
              </Section>
              {version.tags && version.tags.length > 0 ? (
                <Section title="Tags">
                  <div className={css.tags}>
                    {version.tags.map((tag) => (
                      <Chip key={tag.key}>{`${tag.key}: ${tag.value}`}</Chip>
                    ))}
                  </div>
                </Section>
              ) : null}
            </div>
          </div>
        </div>
      )}
    </>
  );
}

/** The experiment that a proxy address names; runs are found by their own id whatever stands there. */
function experimentOf(version: ModelVersion): string | undefined {
  return new RegExp(`/([^/]+)/${version.run_id}/`).exec(version.source)?.[1];
}
