// Package transfer brings experiments, runs, logged models and registered models from other stores into this one.
//
// A Source reads one kind of store: the file tree of MLflow (tree*.go) or its SQL database (sql*.go). It never writes to
// what it reads. Import takes what a Source gives, in the order experiments, runs, logged models, registered models, and
// writes it through the small interfaces of Target, which the stores implement and package server passes in. Files of artifacts are copied below the artifact root, or left where they are when they lie there
// already; package artifact owns how they are stored (place.go decides where).
//
// The rules: ids, times and lifecycle stages stay. What the target has already is never changed, so a second import of the
// same store changes nothing and one that was broken off goes on. What cannot be read is named in the Report and skipped.
package transfer
