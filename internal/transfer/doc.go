// Package transfer brings experiments, runs, logged models and registered models from other stores into this one, and writes
// all of a store into one archive.
//
// A Source reads one kind of store: the file tree of MLflow (tree*.go), its SQL database (sql*.go), a running
// server (server.go), or an archive (archive_source.go). It never writes to what it reads. Import takes what a Source gives, in the order experiments, runs,
// logged models, registered models, and writes it through the small interfaces of Target, which the stores implement and
// package server passes in. Files of artifacts are copied below the artifact root, or left where they are when they lie
// there already; package artifact owns how they are stored (place.go decides where, files.go copies).
//
// The rules: ids, times and lifecycle stages stay. What the target has already is never changed, so a second import of the
// same store changes nothing and one that was broken off goes on. What cannot be read is named in the Report and skipped.
//
// Export reads a store of ours in one transaction and writes an archive, whose format archive.go describes. Neither side
// holds more than a piece of it in memory.
package transfer
