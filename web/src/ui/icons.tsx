import type { ReactNode } from "react";

function Icon({ children, size = 16 }: { children: ReactNode; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const ChevronRight = ({ size = 14 }: { size?: number }) => (
  <Icon size={size}>
    <path d="m6 3.5 4.5 4.5L6 12.5" />
  </Icon>
);

export const ChevronDown = ({ size = 14 }: { size?: number }) => (
  <Icon size={size}>
    <path d="m3.5 6 4.5 4.5L12.5 6" />
  </Icon>
);

export const Folder = () => (
  <Icon>
    <path d="M1.8 12.2V3.8c0-.6.4-1 1-1h3.4l1.6 1.8h5.4c.6 0 1 .4 1 1v6.6c0 .6-.4 1-1 1H2.8c-.6 0-1-.4-1-1Z" />
  </Icon>
);

export const FileIcon = () => (
  <Icon>
    <path d="M9 1.8H4.2c-.5 0-.9.4-.9.9v10.6c0 .5.4.9.9.9h7.6c.5 0 .9-.4.9-.9V5.5L9 1.8Zm0 0v3.7h3.7" />
  </Icon>
);

export const ImageIcon = () => (
  <Icon>
    <path d="M2.5 3h11v10h-11zM2.5 11l3.2-3.4 2.6 2.6 1.7-1.8 3.5 3.4" />
    <circle cx="10.3" cy="5.9" r=".8" />
  </Icon>
);

export const TableIcon = () => (
  <Icon>
    <path d="M2 3h12v10H2zM2 6.4h12M6.5 6.4V13M2 9.7h12" />
  </Icon>
);

export const CopyIcon = () => (
  <Icon size={14}>
    <path d="M5.5 5.5V3c0-.5.4-.9.9-.9H13c.5 0 .9.4.9.9v6.6c0 .5-.4.9-.9.9h-2.5M3 5.5h6.6c.5 0 .9.4.9.9V13c0 .5-.4.9-.9.9H3c-.5 0-.9-.4-.9-.9V6.4c0-.5.4-.9.9-.9Z" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon size={14}>
    <path d="m3 8.5 3.3 3.3L13 4.8" />
  </Icon>
);

export const Columns = () => (
  <Icon>
    <path d="M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10" />
  </Icon>
);

export const Sliders = () => (
  <Icon>
    <path d="M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7" />
    <circle cx="10.7" cy="4.5" r="1.7" />
    <circle cx="5.2" cy="11.5" r="1.7" />
  </Icon>
);

export const Sun = () => (
  <Icon>
    <circle cx="8" cy="8" r="2.8" />
    <path d="M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" />
  </Icon>
);

export const Download = () => (
  <Icon>
    <path d="M8 2v8.2M4.8 7.2 8 10.4l3.2-3.2M2.5 13.5h11" />
  </Icon>
);

export const Pencil = () => (
  <Icon size={13}>
    <path d="m3 13 .7-3L10.5 3.2a1.3 1.3 0 0 1 1.8 0l.5.5a1.3 1.3 0 0 1 0 1.8L6 12.3 3 13Z" />
  </Icon>
);

export const More = () => (
  <Icon>
    <path d="M3.2 8h.01M8 8h.01M12.8 8h.01" strokeWidth="2.4" />
  </Icon>
);

export const SearchIcon = () => (
  <Icon>
    <circle cx="7" cy="7" r="4.3" />
    <path d="m10.3 10.3 3.4 3.4" />
  </Icon>
);

export const ArrowUp = () => (
  <Icon size={12}>
    <path d="M8 13V3.5M4 7l4-4 4 4" />
  </Icon>
);

export const ArrowDown = () => (
  <Icon size={12}>
    <path d="M8 3v9.5M4 9l4 4 4-4" />
  </Icon>
);

/** The mark: water that falls over a weir. */
export const Mark = () => (
  <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="7" fill="#0e6b86" />
    <path
      d="M5 11.5h8.2c3.6 0 3.4 9 7.2 9H27"
      fill="none"
      stroke="#fff"
      strokeWidth="3"
      strokeLinecap="round"
    />
    <path d="M5 20.5h6.2" fill="none" stroke="#8fd3e3" strokeWidth="3" strokeLinecap="round" />
    <path d="M15.5 6v20" stroke="#fff" strokeWidth="2" strokeOpacity=".35" />
  </svg>
);
