// Package mlflow holds the words of MLflow in Go: the messages of its REST API, its error type, and a client.
//
// It is the Go SDK for any MLflow-compatible server and the vocabulary of Weir's own domains, which take and return
// these types. It imports only the standard library. Times are milliseconds since the Unix epoch unless said otherwise.
//
// Struct tags: `json` names a field on the wire; `api:"required"` marks what a server must be given (empty text counts
// as missing); `api:"alias=x"` names an older spelling that is read when the field itself is absent.
package mlflow
