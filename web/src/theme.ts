import { createTheme, type MantineColorsTuple } from "@mantine/core";

const water: MantineColorsTuple = [
  "#e7f4f8",
  "#cfe6ee",
  "#9fcddd",
  "#6cb3cb",
  "#439ebc",
  "#2a8caf",
  "#177a9c",
  "#0e6b86",
  "#0a566c",
  "#064254",
];

const dark: MantineColorsTuple = [
  "#e3e9ed",
  "#a9b6bf",
  "#8b99a3",
  "#5b6a75",
  "#33414b",
  "#26323a",
  "#1b242b",
  "#151d23",
  "#10171c",
  "#0b1115",
];

export const theme = createTheme({
  primaryColor: "water",
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  colors: { water, dark },
  fontFamily: "Inter Variable, system-ui, -apple-system, Segoe UI, Roboto, sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
});
