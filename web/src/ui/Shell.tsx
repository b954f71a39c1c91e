import {
  type MantineColorScheme,
  Menu,
  UnstyledButton,
  useMantineColorScheme,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useState } from "react";
import { serverQuery } from "../api/queries";
import { CheckIcon, Mark, Sun } from "./icons";
import css from "./Shell.module.css";
import { UndoProvider } from "./Undo";

const schemes = [
  ["auto", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

function Settings() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [opened, setOpened] = useState(false);
  const about = useQuery({ ...serverQuery(), enabled: opened });
  return (
    <Menu position="bottom-end" width={210} opened={opened} onChange={setOpened}>
      <Menu.Target>
        <UnstyledButton className={css.tool} aria-label="Settings" data-testid="settings">
          <Sun />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Colours</Menu.Label>
        <Menu.RadioGroup
          value={colorScheme}
          onChange={(value) => setColorScheme(value as MantineColorScheme)}
        >
          {schemes.map(([value, label]) => (
            <Menu.RadioItem key={value} value={value} checkIcon={<CheckIcon />}>
              {label}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Label>
          {about.data
            ? `Weir ${about.data.version}, speaks MLflow ${about.data.mlflow_version}`
            : "Weir"}
        </Menu.Label>
      </Menu.Dropdown>
    </Menu>
  );
}

/** The frame of every page: one slim bar, and the page. */
export function Shell() {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const inModels = path.startsWith("/models");
  return (
    <div className={css.shell}>
      {/* A plain anchor would change the hash route, so the focus is moved by hand. */}
      <button
        type="button"
        className={css.skip}
        onClick={() => document.getElementById("main")?.focus()}
      >
        Skip to content
      </button>
      <header className={css.bar}>
        <span className={css.brand}>
          <Mark />
          <span>Weir</span>
        </span>
        <nav className={css.nav} aria-label="Main">
          <Link to="/experiments" className={css.link} data-active={!inModels || undefined}>
            Experiments
          </Link>
          <Link to="/models" className={css.link} data-active={inModels || undefined}>
            Models
          </Link>
        </nav>
        <Settings />
      </header>
      <main id="main" className={css.main} tabIndex={-1}>
        <UndoProvider>
          <Outlet />
        </UndoProvider>
      </main>
    </div>
  );
}
