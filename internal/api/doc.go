// Package api is the plumbing between HTTP and the domains: typed handlers, lenient decoding, errors to JSON, limits,
// permissions and the table of all routes.
//
// A domain offers methods of the form func(context.Context, *Req) (*Resp, error) and mounts each with Handle; streams
// (artifacts, events) are plain http.HandlerFunc mounted with Stream. A route cannot exist without a declared permission.
// What a handler may see of the caller is its Actor and, for lists, a Scope that it applies inside its query.
//
// The package knows no domain, no database and no configuration; package server builds the Router and hands it around.
package api
