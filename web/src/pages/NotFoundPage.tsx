import { Link } from "@tanstack/react-router";
import { EmptyState } from "../ui/states";

export function NotFoundPage() {
  return (
    <EmptyState title="There is no such page">
      <p>
        <Link to="/experiments">All experiments</Link>
      </p>
    </EmptyState>
  );
}
