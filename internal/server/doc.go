// Package server builds every domain from a Config, mounts them on one router, serves the web page and shuts down in
// order.
//
// It owns what surrounds the domains: where a backend store URI leads (store.go), the addresses that are listened on,
// /health, /version and server-info, the web page's files, the in-process transport by which domains call the API, and
// the life of a server that was started for a folder: its lock, its token and the leases of its clients.
//
// A new domain is one folder and one line in domains.go.
package server
