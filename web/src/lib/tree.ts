import type { Run } from "../api/types.gen";
import { parentOf } from "./columns";

/** A run with the runs nested in it. A guest is a parent that the search did not find but a found child needs. */
export interface RunNode {
  run: Run;
  children: RunNode[];
  guest: boolean;
}

/** The parents that found runs name and that are not among the known ones. */
export function missingParents(known: readonly Run[]): string[] {
  const have = new Set(known.map((run) => run.info.run_id));
  const missing = new Set<string>();
  for (const run of known) {
    const parent = parentOf(run);
    if (parent && !have.has(parent)) missing.add(parent);
  }
  return [...missing];
}

/**
 * Puts runs below their parents at any depth. A family stands where its first member stands in the found order,
 * so that a later page never moves what is already on the screen above it.
 */
export function nest(found: readonly Run[], guests: readonly Run[] = []): RunNode[] {
  const nodes = new Map<string, RunNode>();
  for (const run of found) nodes.set(run.info.run_id, { run, children: [], guest: false });
  for (const run of guests)
    if (!nodes.has(run.info.run_id)) nodes.set(run.info.run_id, { run, children: [], guest: true });

  const placed = new Set<string>();
  const roots: RunNode[] = [];
  const place = (node: RunNode) => {
    const climbed = new Set<string>();
    for (let at: RunNode | undefined = node; at; ) {
      const id: string = at.run.info.run_id;
      if (placed.has(id) || climbed.has(id)) return;
      climbed.add(id);
      const parentId = parentOf(at.run);
      const parent: RunNode | undefined = parentId ? nodes.get(parentId) : undefined;
      placed.add(id);
      // A cycle of parents has no top; the run that closes it becomes one.
      if (!parent || climbed.has(parent.run.info.run_id)) {
        roots.push(at);
        return;
      }
      parent.children.push(at);
      at = parent;
    }
  };
  for (const node of nodes.values()) if (!node.guest) place(node);
  return roots;
}

/** The loaded runs with their beginning as it is now. A run that has left the beginning stays where it was loaded. */
export function withNewest(newest: readonly Run[], loaded: readonly Run[]): Run[] {
  const known = new Set(newest.map((run) => run.info.run_id));
  return [...newest, ...loaded.filter((run) => !known.has(run.info.run_id))];
}
