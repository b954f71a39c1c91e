import type { ModelVersion, RegisteredModel } from "../api/types.gen";

/** The aliases that point at a version. The model knows them all; a searched version may lack its own. */
export function aliasesOf(model: RegisteredModel | undefined, version: ModelVersion): string[] {
  const known = (model?.aliases ?? [])
    .filter((a) => a.version === version.version)
    .map((a) => a.alias);
  return [...new Set([...known, ...(version.aliases ?? [])])].sort();
}

/** Where below its run's artifacts a version's files are; undefined when they are elsewhere. */
export function pathInRun(version: ModelVersion): string | undefined {
  const { source, run_id } = version;
  if (!run_id) return undefined;
  const inRun = /^runs:\/+([^/]+)\/(.*)$/.exec(source);
  if (inRun) return inRun[1] === run_id ? inRun[2] : undefined;
  const at = source.indexOf(`/${run_id}/artifacts/`);
  return at < 0
    ? undefined
    : source.slice(at + run_id.length + "/artifacts/".length + 1).replace(/\/$/, "");
}

/** The logged model that a version's files are; Python's MLflow 3 registers those. */
export function loggedModelOf({ source }: ModelVersion): string | undefined {
  return /(?:^models:\/+|\/models\/)(m-[0-9a-f]{32})(?:\/artifacts)?\/?$/.exec(source)?.[1];
}

/** Whether R can load a model: Python alone reads its own flavors. */
export const loadsInR = (flavors: string[]) =>
  flavors.length === 0 ||
  flavors.some((f) => ["crate", "rds", "xgboost", "lightgbm", "keras", "h2o"].includes(f));

export interface Field {
  name: string;
  type: string;
  required: boolean;
}

export interface Signature {
  inputs: Field[];
  outputs: Field[];
}

/** One single-quoted YAML scalar of a block mapping, which may be folded over several lines. */
function quotedScalar(yaml: string, key: string): string | undefined {
  const found = new RegExp(`^ +${key}: '((?:[^']|'')*)'`, "m").exec(yaml);
  return found?.[1]?.replace(/''/g, "'").replace(/\s*\n\s*/g, " ");
}

function fieldsOf(json: string | undefined): Field[] {
  if (!json) return [];
  try {
    const list = JSON.parse(json) as {
      name?: string;
      type: string;
      required?: boolean;
      "tensor-spec"?: { dtype: string; shape: number[] };
    }[];
    return list.map((field, i) => {
      const tensor = field["tensor-spec"];
      return {
        name: field.name ?? `(${i + 1})`,
        type: tensor ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : field.type,
        required: field.required ?? true,
      };
    });
  } catch {
    return [];
  }
}

/** Reads the signature out of an MLmodel file, where it is JSON inside of YAML. */
export function signatureOf(mlmodel: string): Signature | undefined {
  const block = /^signature:\n(?:[ -].*\n?)+/m.exec(mlmodel)?.[0];
  if (!block) return undefined;
  const signature = {
    inputs: fieldsOf(quotedScalar(block, "inputs")),
    outputs: fieldsOf(quotedScalar(block, "outputs")),
  };
  return signature.inputs.length + signature.outputs.length > 0 ? signature : undefined;
}

/** The flavors that an MLmodel file names. */
export function flavorsOf(mlmodel: string): string[] {
  const block = /^flavors:\n((?: .*\n?)*)/m.exec(mlmodel)?.[1] ?? "";
  return [...block.matchAll(/^ {2}([\w.-]+):/gm)].map((match) => match[1] ?? "");
}
