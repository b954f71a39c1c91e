import { Button, CloseButton } from "@mantine/core";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
} from "react";
import css from "./Undo.module.css";

/** How long a change can be taken back, in milliseconds. */
const offered = 30_000;

interface Notice {
  text: string;
  undo?: () => Promise<unknown>;
}

interface Told {
  /** Says what was done, and offers to take it back. */
  done: (text: string, undo: () => Promise<unknown>) => void;
  /** Says what could not be done. */
  failed: (error: unknown) => void;
}

const UndoContext = createContext<Told>({ done: () => {}, failed: () => {} });

export const useUndo = () => useContext(UndoContext);

/** Holds the line at the bottom of the page that says what was done and takes it back. */
export function UndoProvider({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<Notice>();
  const done = useCallback<Told["done"]>((text, undo) => setNotice({ text, undo }), []);
  const failed = useCallback<Told["failed"]>(
    (error) => setNotice({ text: error instanceof Error ? error.message : String(error) }),
    [],
  );
  const told = useMemo(() => ({ done, failed }), [done, failed]);
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(undefined), offered);
    return () => clearTimeout(timer);
  }, [notice]);
  const takeBack = () => {
    const undo = notice?.undo;
    setNotice(undefined);
    undo?.().catch(failed);
  };
  return (
    <UndoContext value={told}>
      {children}
      <div className={css.place} role="status">
        {notice ? (
          <div className={css.notice}>
            <span>{notice.text}</span>
            {notice.undo ? (
              <Button size="compact-xs" variant="default" data-testid="undo" onClick={takeBack}>
                Undo
              </Button>
            ) : null}
            <CloseButton size="sm" aria-label="Dismiss" onClick={() => setNotice(undefined)} />
          </div>
        ) : null}
      </div>
    </UndoContext>
  );
}
