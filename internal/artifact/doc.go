// Package artifact keeps the files of runs and models and serves them: MLflow's artifact proxy, the listings of a run, and
// the downloads of the web page.
//
// It owns every byte below the artifact root and the table file. It knows no run: what belongs to whom it learns through
// RunFinder and VersionFinder, which the server passes in, and permissions are the router's.
//
// A path that a client sends becomes a key in one place, parseKey and its siblings: decoded once, checked, and from then on a
// slash-separated text without surprises. A client's URI never becomes a path; it becomes a key below the root, or a fault.
// The disk is reached through os.Root alone, so that even a planted link leads nowhere else.
package artifact
