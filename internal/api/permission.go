package api

import "context"

// Level is how much of a resource a route touches.
type Level string

// The levels, from least to most. LevelPublic needs nobody, LevelList and LevelCreate need any actor.
const (
	LevelPublic Level = "public"
	LevelList   Level = "list"
	LevelCreate Level = "create"
	LevelRead   Level = "read"
	LevelEdit   Level = "edit"
	LevelDelete Level = "delete"
	LevelManage Level = "manage"
)

// Resource says what a route acts on and which request field, path value or query value names it.
type Resource struct{ Kind, Field string }

// Permission is what a route demands of its caller. The zero value is no permission: such a route cannot be mounted.
type Permission struct {
	Level    Level
	Resource Resource
}

// Public is the permission of routes that anybody may call, such as health and version.
var Public = Permission{Level: LevelPublic}

// Read lets the route look at one resource.
func Read(r Resource) Permission { return Permission{LevelRead, r} }

// Edit lets the route change one resource.
func Edit(r Resource) Permission { return Permission{LevelEdit, r} }

// Delete lets the route delete or restore one resource.
func Delete(r Resource) Permission { return Permission{LevelDelete, r} }

// Manage lets the route do what only an owner may.
func Manage(r Resource) Permission { return Permission{LevelManage, r} }

// List is for routes that answer many resources of a kind; their handler filters by ScopeOf(ctx, kind).
func List(kind string) Permission { return Permission{LevelList, Resource{Kind: kind}} }

// Create is for routes that make a new resource of a kind.
func Create(kind string) Permission { return Permission{LevelCreate, Resource{Kind: kind}} }

// Actor is who calls.
type Actor struct{ Name string }

// Local is the one actor of a server without accounts.
var Local = Actor{Name: "local"}

// Scope is what an actor may read of one kind: everything, or the resources with these ids.
type Scope struct {
	All bool
	IDs []string
}

// Policy decides for actors. A nil Policy allows everything, as on a server without accounts.
type Policy interface {
	// Allow gives an *mlflow.Error when the actor may not do this to the resource that id names.
	Allow(ctx context.Context, a Actor, p Permission, id string) error
	// Scope gives what the actor may read of a kind.
	Scope(ctx context.Context, a Actor, kind string) Scope
}

// Allow is for handlers whose request names something besides what its route declares: it gives an *mlflow.Error when the
// caller may not do this to the resource that id names.
func Allow(ctx context.Context, p Permission, id string) error {
	if policy, ok := ctx.Value(policyKey).(Policy); ok {
		return policy.Allow(ctx, ActorOf(ctx), p, id)
	}
	return nil
}

type ctxKey int

const (
	actorKey ctxKey = iota
	policyKey
	requestIDKey
	idempotencyKey
	forwardedKey
)

// WithActor puts the caller into a context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey, a)
}

// ActorOf gives the caller; Local when none was put.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey).(Actor); ok {
		return a
	}
	return Local
}

// ScopeOf gives what the caller may read of a kind.
func ScopeOf(ctx context.Context, kind string) Scope {
	if p, ok := ctx.Value(policyKey).(Policy); ok {
		return p.Scope(ctx, ActorOf(ctx), kind)
	}
	return Scope{All: true}
}
