// Package registry owns registered models: their versions, aliases, stages and tags, and the history of who changed what.
//
// Prompts are registered models with a tag; searches leave them out unless they are asked for. A version's number is
// taken from its model's row inside the transaction, so numbers have no gaps and none is given twice, also after
// deletions. A deleted version keeps only its number; a deleted model is gone, with its history left.
//
// Where a version's files are is said by the client and checked in source.go: a source may only lead to what the named
// run or logged model contains. The registry knows neither: it asks tracking through RunArtifacts and LoggedModels,
// which take the caller's transaction. Reading the files is the artifact domain's business.
package registry
