// Package sqldbtest gives tests real databases: a fresh SQLite file, and a fresh database of a real PostgreSQL server
// that each test process starts for itself.
//
// The server runs without root's rights in a folder of its own, on a socket there, and a small shell that holds the
// other end of a pipe stops it and removes the folder when the test process is gone, however that ended. Its databases
// sort by the rules of English on purpose: a text column without collate "C" then fails a test instead of a user.
package sqldbtest
