import { Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { CheckIcon, Mark, Sun } from "./icons";
import css from "./Shell.module.css";

const schemes = [
  ["auto", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu position="bottom-end" width={170}>
      <Menu.Target>
        <UnstyledButton className={css.tool} aria-label="Settings" data-testid="settings">
          <Sun />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Colours</Menu.Label>
        {schemes.map(([value, label]) => (
          <Menu.Item
            key={value}
            role="menuitemradio"
            aria-checked={colorScheme === value}
            onClick={() => setColorScheme(value)}
            rightSection={colorScheme === value ? <CheckIcon /> : null}
          >
            {label}
          </Menu.Item>
        ))}
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
        <SchemeMenu />
      </header>
      <main id="main" className={css.main} tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}
